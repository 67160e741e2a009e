"""One life of an engine process: spawned, spoken to, and buried when all it said has been read.

It knows no lease; it decodes messages and hands them on.
"""

import asyncio
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec

from llmsh.abi import abort, lease
from llmsh.drivers.link import Link

COMMAND = (sys.executable, "-P", "-m", "llmsh.engine")
GRACE = 2.0
"""Seconds between the end of file and SIGKILL."""
_LINE_MAX = 2000
_COUNTS = "/proc/vmstat"
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def shortages() -> int:
    """How often the system has killed somebody because it was out of memory (oom_kill in /proc/vmstat), 0 where it does
    not say."""
    try:
        with open(_COUNTS, encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0


class Incarnation:
    """An engine process. `received` takes its messages in order; `died` is called once, after the
    last of them, when the process has been reaped. It is started within `spawning`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: list[str],
        received: Callable[[lease.FromEngine], None],
        died: Callable[[str], None],
        log: Callable[[str], None],
        swap: int = -1,
        spawning: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._loop = loop
        self._received = received
        self._died = died
        self._log = log
        self._why = ""
        self._replies: dict[int, Callable[[lease.Reply], None]] = {}
        self._requests = 0
        self._errors = b""
        self._exited = False
        self._shortages = shortages()
        self._abort = os.memfd_create("llmsh-abort", os.MFD_CLOEXEC)
        os.ftruncate(self._abort, abort.SIZE)
        self._page = mmap.mmap(self._abort, abort.SIZE)
        data, engine_data = socket.socketpair()
        control, engine_control = socket.socketpair()
        try:
            with engine_data, engine_control, spawning():
                self._process = self._spawn(options, engine_data.fileno(), engine_control.fileno(), swap)
        except OSError:
            data.close()
            control.close()
            self._forget_page()
            raise
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._data: Link | None = Link(loop, data, self._message, self._data_ended)
        self._control: Link | None = Link(loop, control, self._reply, self._control_ended)
        assert self._process.stderr is not None  # asked for below
        self._stderr = self._process.stderr.fileno()
        os.set_blocking(self._stderr, False)
        loop.add_reader(self._stderr, self._complaint)
        loop.add_reader(self._pidfd, self._exit)
        self._grace: asyncio.TimerHandle | None = None

    def _spawn(self, options: list[str], data: int, control: int, swap: int) -> "subprocess.Popen[bytes]":
        fds = (data, control, self._abort, *((swap,) if swap >= 0 else ()))
        path = os.pathsep.join(filter(None, [_PACKAGES, os.environ.get("PYTHONPATH", "")]))
        names = ("--data-fd", "--control-fd", "--abort-fd", "--swap-fd")
        given = [part for name, fd in zip(names, fds, strict=False) for part in (name, str(fd))]
        return subprocess.Popen(
            [*COMMAND, *options, *given],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        )

    # To the engine.

    def post(self, message: lease.ToEngine) -> None:
        """Queue a message on the data channel."""
        if self._data is not None:
            self._data.send(lease.pack(message))

    def request(self, message: lease.Request, reply: Callable[[lease.Reply], None]) -> None:
        """Ask; `reply` comes on the loop, also when the engine dies."""
        self._requests += 1
        number = self._requests
        if self._control is None:
            self._loop.call_soon(reply, lease.Reply(number, error="engine died"))
            return
        self._replies[number] = reply
        self._control.send(lease.pack(msgspec.structs.replace(message, id=number)))

    def abort(self, core: int, step: int) -> None:
        """Set the step's byte."""
        if 0 <= core < abort.CORES:
            self._page[abort.place(core, step)] = 1

    def kill(self) -> None:
        """SIGKILL, at once."""
        if not self._exited:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """End of file, and SIGKILL when that was not enough."""
        for link in (self._data, self._control):
            if link is not None:
                link.shut()
        if self._grace is None:
            self._grace = self._loop.call_later(GRACE, self.kill)

    # From the engine.

    def _message(self, frame: bytes) -> None:
        try:
            message = lease.from_engine.decode(frame)
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            assert self._data is not None  # it called
            self._data.fail(f"it sent what is no message: {exc}")
            return
        self._received(message)

    def _reply(self, frame: bytes) -> None:
        try:
            message = lease.replies.decode(frame)
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            assert self._control is not None  # it called
            self._control.fail(f"it sent what is no reply: {exc}")
            return
        reply = self._replies.pop(message.id, None)
        if reply is not None:
            reply(message)

    def _data_ended(self, why: str) -> None:
        self._data = None
        self._ended(why)

    def _control_ended(self, why: str) -> None:
        self._control = None
        self._ended(why)
        for number, reply in [*self._replies.items()]:
            del self._replies[number]
            reply(lease.Reply(number, error="engine died"))

    def _ended(self, why: str) -> None:
        """A channel is over: so is the engine, whether it knows or not."""
        self._why = self._why or why
        if why:
            self.kill()
        elif not self._exited and self._grace is None:
            self._grace = self._loop.call_later(GRACE, self.kill)
        self._bury()

    def _complaint(self) -> None:
        """The engine's stderr, line by line to the log."""
        try:
            data = os.read(self._stderr, 1 << 16)
        except BlockingIOError:
            return
        self._errors += data
        *lines, self._errors = self._errors.split(b"\n")
        if len(self._errors) > _LINE_MAX or not data:
            lines.append(self._errors)
            self._errors = b""
        for line in filter(None, lines):
            self._log(line[:_LINE_MAX].decode("utf-8", "replace"))
        if not data:
            self._loop.remove_reader(self._stderr)

    def _exit(self) -> None:
        """The process is over; its channels may still hold frames."""
        self._loop.remove_reader(self._pidfd)
        code = self._process.wait()
        os.close(self._pidfd)
        self._exited = True
        if self._grace is not None:
            self._grace.cancel()
        if not self._why and code == -signal.SIGKILL and shortages() > self._shortages:
            self._why = "killed by signal 9: the system was out of memory"
        elif not self._why and code < 0:
            self._why = f"killed by signal {-code}"
        elif not self._why:
            self._why = f"exit status {code}"
        self._bury()

    def _bury(self) -> None:
        if not self._exited or self._data is not None or self._control is not None:
            return
        self._complaint_rest()
        self._forget_page()
        self._died(self._why)

    def _forget_page(self) -> None:
        self._page.close()
        os.close(self._abort)

    def _complaint_rest(self) -> None:
        self._complaint()
        if self._errors:
            self._log(self._errors[:_LINE_MAX].decode("utf-8", "replace"))
        self._loop.remove_reader(self._stderr)
        assert self._process.stderr is not None  # asked for when it was made
        self._process.stderr.close()
