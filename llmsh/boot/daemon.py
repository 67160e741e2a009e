"""The daemon: kernel, server, journal and devices put together, kept in order, and taken apart.

It decides when to leave (signals, the shutdown call, idleness, a lost state folder); what runs is the
kernel's.
"""

import asyncio
import dataclasses
import os
import signal
import time
import traceback
from typing import Any

from llmsh.abi import paths, unitfile
from llmsh.abi.errors import Error
from llmsh.abi.levels import CRIT, ERR, NOTICE
from llmsh.abi.version import BUILD
from llmsh.boot import machine
from llmsh.boot.clock import LoopClock
from llmsh.boot.config import Config
from llmsh.boot.instance import Instance
from llmsh.boot.log import Log
from llmsh.boot.models import Models
from llmsh.boot.notify import Starter
from llmsh.boot.server import Server
from llmsh.boot.shelf import Shelf
from llmsh.boot.socketfile import SocketFile, adopt
from llmsh.kernel.console import Console
from llmsh.kernel.journal import Journal, Reserve
from llmsh.kernel.kernel import Kernel
from llmsh.kernel.ledger import Ledger
from llmsh.kernel.logfile import Logs
from llmsh.kernel.store import Store
from llmsh.programs.table import PROGRAMS

HOUSEKEEPING_S = 1.0
POLL_S = 0.01
FAREWELL_S = 1.0
"""How long clients may take to read the last output of their processes."""
LEAVE_S = 4.0
"""How long engines and clients may take at the end, after their processes have ended."""


class Daemon:
    """One daemon's life. `stays`: it never leaves for idleness (systemd, --foreground).

    Raises Error when it has no place to serve at, or the journal cannot be used."""

    def __init__(
        self, config: Config, starter: Starter, log: Log, instance: Instance, inherited: list[int], *, stays: bool
    ) -> None:
        self.config = config
        self.starter = starter
        self.log = log
        self.instance = instance
        self.stays = stays
        self.loop = asyncio.get_running_loop()
        self.clock = LoopClock(self.loop)
        self.console = Console(self.clock, log.line)
        # The place to serve at first: without one the journal is not touched.
        self.file = None if inherited else SocketFile()
        self.socks = [adopt(fd) for fd in inherited] if self.file is None else [self.file.sock]
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self._until = float("inf")
        self._stopping = False
        self._complaint = ""
        try:
            self._open()
        except Error:
            if self.file is not None:
                self.file.unlink()
            for sock in self.socks:
                sock.close()
            raise

    def _open(self) -> None:
        """Journal, then kernel, then server. Raises Error when the journal cannot be used."""
        state = paths.state()
        store = Store(paths.journal())
        reserve = Reserve(os.path.join(state, "reserve"))
        self.journal = Journal(store, reserve, self.loop.call_soon_threadsafe, self._say_soon)
        self.logs = Logs(os.path.join(state, "logs"), self.console.say, self.config.output_max_bytes)
        found = self.journal.recover(time.time())
        lost = [f"{each['agent']}[{each['pid']}]: lost with the last daemon; its status is 137" for each in found.lost]
        cells = f"{self.config.cells} cells of {self.config.cache_type}"
        self.kernel = Kernel(
            clock=self.clock,
            settings=dataclasses.replace(self.config, memory=self.config.memory or machine.memory() // 4 * 3),
            ledger=Ledger(self.journal, self.logs, last_pid=found.last_pid, statuses=found.statuses, lost=lost),
            programs=PROGRAMS,
            make_device=Models(self.config, self.clock, self.log.line),
            units=unitfile.find,
            console=self.console,
            shelf=Shelf(os.path.join(state, "rates"), self.console.say, f"{BUILD}, {cells}"),
        )
        self.kernel.on_stop = lambda grace_ms: self.stop(grace_ms / 1000, "asked to")
        self.server = Server(self.loop, self.kernel, self.console.say)

    def _say_soon(self, line: str) -> None:
        """For the journal's thread."""
        try:
            self.loop.call_soon_threadsafe(self.console.say, line)
        except RuntimeError:
            self.log.line(line)

    # Life.

    async def run(self) -> None:
        """Serve until told to leave."""
        self.loop.set_exception_handler(self._panic)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._signalled, number)
        for sock in self.socks:
            await self.server.listen(sock)
        where = self.file.path if self.file else "an inherited socket"
        self.console.say(f"llmshd is pid {os.getpid()}, serves {where}")
        self.starter.ready()
        self._keep_house()
        await self.ended

    def close(self) -> None:
        """After the end: what is on its way to the disk arrives there."""
        if self.file is not None:
            self.file.unlink()
        self.journal.close()
        self.logs.close()
        self.log.line("llmshd has ended")

    def _panic(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A bug of ours: said loudly, with where it was in the log; the daemon goes on."""
        exc = context.get("exception")
        self.console.say(f"{CRIT}panic: {context.get('message', '')}: {exc!r}")
        for line in traceback.format_exception(exc) if exc is not None else ():
            self.log.line(line.rstrip())

    def _keep_house(self) -> None:
        """Once a second: is everything where it was, and is there anything left to do?"""
        if self._stopping:
            return
        self.loop.call_later(HOUSEKEEPING_S, self._keep_house)
        self.kernel.unload_idle()
        idle_s = self.clock.now() - self.kernel.idle_since
        if not self.instance.held:
            self.stop(self.config.grace_s, "the state folder was taken away")
        elif not self.stays and self.kernel.idle and 0 < self.config.idle_exit_s < idle_s:
            self.stop(0, f"nothing to do for {idle_s:.0f} s")
        elif self.file is not None and not self.file.there:
            self.loop.create_task(self._bind_again(), name="bind")  # the loop outlives it

    async def _bind_again(self) -> None:
        """The socket's file is gone (a cleaner of temporary folders): make it again."""
        try:
            fresh = SocketFile()
        except Error as error:
            if error.detail != self._complaint:
                self.console.say(ERR + error.detail)
            self._complaint = error.detail
            return
        self.server.shut()
        self.file = fresh
        await self.server.listen(fresh.sock)
        self.console.say(f"{NOTICE}the socket was gone; serving {fresh.path} again")

    # End.

    def _signalled(self, number: int) -> None:
        self.stop(self.config.grace_s, signal.Signals(number).name)

    def stop(self, grace_s: float, reason: str) -> None:
        """TERM to all, KILL after the grace, then leave. Asked a second time: at once."""
        if self._stopping:
            self._until = 0.0
            self.kernel.shutdown(0, self._leave)
            return
        self._stopping = True
        self.console.say(f"stopping: {reason}")
        self.starter.notify("STOPPING=1")
        if self.file is not None:
            self.file.unlink()
        self.server.shut()
        self.kernel.shutdown(grace_s, self._leave)

    def _leave(self) -> None:
        """Every process has ended; clients that still take output are to hear of it."""
        self._until = min(self._until, self.clock.now() + FAREWELL_S)
        self._wait_for_farewells()

    def _wait_for_farewells(self) -> None:
        owed = any(each.owner and not each.owner.gone and not each.told for each in self.kernel.table)
        if owed and self.clock.now() < self._until:
            self.loop.call_later(POLL_S, self._wait_for_farewells)
            return
        self._until = self.clock.now() + LEAVE_S
        self.server.close("the daemon stops")
        self._wait_for_others()

    def _wait_for_others(self) -> None:
        """Engines end by themselves, and clients are to have what was sent to them."""
        busy = self.server.clients or any(host.device.pid for host in self.kernel.hosts.values())
        if busy and self.clock.now() < self._until:
            self.loop.call_later(POLL_S, self._wait_for_others)
        else:
            # Answers of the journal come in order: after this one nothing is on its way to a log.
            self.journal.barrier(lambda _error: self._end())
            self.loop.call_later(LEAVE_S, self._end)

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
