"""The kernel: its parts in one place, and what one part asks of another.

One thread, no I/O of its own: a server hands it frames by `trap`, devices hand it messages, the
clock calls it. What a call does is in sys_*.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from llmsh.abi.errors import Error
from llmsh.abi.levels import ERR
from llmsh.abi.limits import CLIENTS_MAX, CLIENTS_RESERVED, INIT
from llmsh.abi.program import Program
from llmsh.abi.signals import CONT, HUP, KILL, PIPE, TERM
from llmsh.abi.states import RUN, STOPPED
from llmsh.abi.unit import Unit
from llmsh.kernel import ending, foreground, signals
from llmsh.kernel import exec as execution
from llmsh.kernel.activity import Past
from llmsh.kernel.caller import Caller, Conn
from llmsh.kernel.clock import Clock
from llmsh.kernel.console import Console
from llmsh.kernel.dealing import Dealing, Party
from llmsh.kernel.device import Device
from llmsh.kernel.goals import Goals
from llmsh.kernel.host import Host
from llmsh.kernel.interpreter import Interpreter
from llmsh.kernel.ledger import Ledger
from llmsh.kernel.load import Load
from llmsh.kernel.models import Models
from llmsh.kernel.proc import Process
from llmsh.kernel.quotas import Quotas
from llmsh.kernel.settings import Settings
from llmsh.kernel.swap import Limits, Swap
from llmsh.kernel.table import Table
from llmsh.kernel.text import Texts
from llmsh.kernel.trap import trap
from llmsh.kernel.tuning import Shelf, Tuning

HOSTS_MAX = 64
"""Models that may be loaded at once, whatever their size."""
ROUSE_S, ROUSES = 0.1, 5
"""How long, and how often, a client is looked at that may be about to stop."""
TICK_S = 0.25
"""How often foreground and patience are looked at while something runs."""


class MakeDevice(Protocol):
    """Gives a device for a model's name; raises Error ENODEV or ENOEXEC."""

    def __call__(self, model: str) -> Device:
        """A device that has not been started."""


class Kernel:
    """Process table, hosts, callers, pipes and the books that check them."""

    def __init__(
        self,
        *,
        clock: Clock,
        settings: Settings,
        ledger: Ledger,
        programs: Mapping[str, Program],
        make_device: MakeDevice,
        units: Callable[[str], Unit],
        console: Console,
        shelf: Shelf | None = None,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.ledger = ledger
        self.programs = programs
        self.make_device = make_device
        self.units = Texts(units)
        self.console = console
        self.shelf = shelf
        self.table = Table(ledger.last_pid)
        self.quotas = Quotas(self)
        self.statuses = ending.Statuses(ledger.statuses)
        self.policy = settings.policy
        self.hosts: dict[str, Host] = {}
        self.dealing = Dealing(clock, self._parties, settings.starvation_s, settings.latency_ms)
        self.models = Models(
            clock,
            self.hosts.values,
            self.say,
            limit=settings.memory,
            turn_s=settings.model_turn_s,
            wait_s=settings.model_wait_s,
        )
        self.callers: dict[Conn, Caller] = {}
        self.pipes = 0
        """Number of the last pipe made."""
        self.began = clock.now()
        self.began_wall = clock.wall()
        self.idle_since = clock.now()
        self.goals = Goals()
        self.load = Load(clock.now())
        self.past = Past()
        self.stopping = False
        self.on_stop: Callable[[int], None] | None = None
        """What `shutdown` calls with the grace in ms: the server's stop."""
        self._stopped: Callable[[], None] | None = None
        self._interpreters: dict[int, Interpreter] = {}
        self.ticking = False
        for line in ledger.lost:
            self.say(ERR + line)

    # The server's side.

    def connect(self, conn: Conn) -> None:
        """A client is there. Raises Error EAGAIN when there are too many."""
        if len(self.callers) >= CLIENTS_MAX + CLIENTS_RESERVED:
            raise Error("EAGAIN", f"{len(self.callers)} clients are connected already")
        self.callers[conn] = Caller(conn, spare=len(self.callers) >= CLIENTS_MAX)

    def trap(self, conn: Conn, head: dict[str, Any], body: bytes) -> None:
        """A client's frame."""
        caller = self.callers.get(conn)
        if caller is not None:
            trap(self, caller, head, body)

    def drained(self, conn: Conn) -> None:
        """The connection takes bytes again."""
        caller = self.callers.get(conn)
        for pid in list(caller.pids) if caller else ():
            process = self.table.find(pid)
            for outlet in list(process.outlets.values()) if process else ():
                outlet.pump()

    def disconnect(self, conn: Conn) -> None:
        """The client is gone: HUP for what it held, its zombies are init's."""
        caller = self.callers.pop(conn, None)
        if caller is None:
            return
        caller.gone = True
        for call in list(caller.calls):
            call.answered = True
        caller.calls.clear()
        for pid in sorted(caller.pids):
            self._abandon(pid)
        for pipe in caller.pipes.values():
            pipe.close_write()
            pipe.close_read()
        caller.pipes.clear()
        self._note_idle()

    def _abandon(self, pid: int) -> None:
        process = self.table.find(pid)
        if process is None:
            return
        process.ppid = INIT
        if process.stopped:
            signals.resume(self, process)
        signals.send(self, process, HUP)
        for outlet in list(process.outlets.values()):
            outlet.hangup()
        ending.settle(self, process)
        ending.reap(self, process)

    def shutdown(self, grace: float, done: Callable[[], None]) -> None:
        """TERM to all, KILL to who is left after `grace` seconds, engines closed, then `done`."""
        self.stopping = True
        self._stopped = done
        self.clock.call_later(grace, self._kill_all)
        for process in self.table:
            signals.send(self, process, TERM)
            signals.send(self, process, CONT)
        self._close_when_empty()

    def _kill_all(self) -> None:
        for process in self.table:
            self.end(process, 128 + KILL, KILL, "the daemon stopped")
        self._close_when_empty()

    def _close_when_empty(self) -> None:
        done = self._stopped
        if done is None or self._interpreters or not all(process.recorded for process in self.table):
            return
        self._stopped = None
        for host in self.hosts.values():
            host.close()
        done()

    # Processes, for the other parts.

    def interpreter(self, process: Process) -> Interpreter:
        """What does the effects of a live process."""
        return self._interpreters[process.pid]

    def add_interpreter(self, process: Process, interpreter: Interpreter) -> None:
        """A process begins."""
        self._interpreters[process.pid] = interpreter
        self.tick()

    def forget_interpreter(self, process: Process) -> None:
        """A process has ended."""
        self._interpreters.pop(process.pid, None)
        self._note_idle()

    def recorded(self) -> None:
        """The end of a process is on disk: at a stop, maybe the last one's."""
        if self.stopping:
            self.clock.call_later(0, self._close_when_empty)

    def go_on(self, process: Process) -> None:
        """Retry what a process waits in: after CONT, or when the engine is there (again)."""
        interpreter = self._interpreters.get(process.pid)
        if interpreter is None or process.host is None:
            return
        if process.program_state is not None:
            interpreter.wake()
            interpreter.resume()
        elif process.host.ready:
            execution.begin(self, process)
        else:
            process.host.memory.want(process.host)  # it left again while the process was stopped

    def end(self, process: Process, status: int, signal: int = 0, reason: str = "") -> None:
        """See ending.end."""
        ending.end(self, process, status, signal, reason)

    def leave(self, process: Process, status: int, note: str = "") -> None:
        """End with one line on its standard error."""
        if note and process.alive and len(process.files) > 2:
            process.files[2].write(f"{process.agent}: {note}\n".encode())
        self.end(process, status, reason=note)

    def broken_pipe(self, process: Process) -> None:
        """Its reader is gone."""
        signals.send(self, process, PIPE)

    def charge_output(self, process: Process, fd: int, count: int) -> bool:
        """Count output bytes; past the limit the process ends with status 1."""
        if fd != 1:
            return True
        process.output += count
        if process.limits.output and process.output > process.limits.output:
            self.leave(process, 1, f"output limit of {process.limits.output} bytes reached")
            return False
        return True

    def log_tokens(self, process: Process, count: int) -> None:
        """`count` tokens were appended to the log, input or made: the journal is told."""
        if process.stream is not None and count:
            at = len(process.stream) - count
            self.ledger.tokens(process, at, process.stream.log[at:])

    def context_of(self, process: Process) -> int:
        """The longest context the process may have, in tokens."""
        bound = self.quotas.bound(process)
        return min(bound, self.own_context(process)) if bound else self.own_context(process)

    def own_context(self, process: Process) -> int:
        """The same where its group has no limit of cells."""
        assert process.host is not None
        context = process.host.facts.context
        return min(context, process.limits.context) if process.limits.context else context

    def tell_state(self, process: Process) -> None:
        """Its owner hears that it stopped or continued; a stopped client is continued, too."""
        owner = process.owner
        if owner is None or owner.gone or not process.alive:
            return
        owner.event({"ev": "stat", "pid": process.pid, "stat": STOPPED if process.stopped else "R"})
        if not process.stopped:
            self.rouse(owner)

    def rouse(self, owner: Caller, tries: int = ROUSES) -> None:
        """What made its client stop is over. A client that is about to stop, having heard of the stop only,
        would miss a SIGCONT of this moment: look again a few times. Once all that lives of it is stopped
        (again), it is as it should be."""
        living = [process for process in map(self.table.find, owner.pids) if process is not None and process.alive]
        if owner.gone or (living and all(process.stopped for process in living)):
            return
        if owner.conn.peer.stopped():
            owner.conn.peer.cont()
        elif tries:
            self.clock.call_later(ROUSE_S, lambda: self.rouse(owner, tries - 1))

    # Devices.

    def host(self, model: str) -> Host:
        """The host of a model, started if it must be. Raises Error ENODEV, ENOEXEC, EAGAIN, ENOMEM."""
        host = self.hosts.get(model)
        if host is not None and host.failure and host.state == "dead":
            self.past.add(host)
            host.close()
            host = None
        if host is None:
            if model not in self.hosts and len(self.hosts) >= HOSTS_MAX:
                raise Error("EAGAIN", f"{model}: {HOSTS_MAX} models are loaded already")
            settings = self.settings
            host = Host(
                self.make_device(model),
                self.clock,
                policy=self.policy,
                quantum=settings.quantum,
                say=self.say,
                tuning=self._tuning(model),
                dealing=self.dealing,
                memory=self.models,
            )
            self.models.admit(host)
            host.strict, host.latency_ms = settings.strict, settings.latency_ms
            swap = Limits(settings.swap_memory, settings.swap_file, settings.swap_order)
            host.swap = Swap(host, host.cores, swap, host.plan)
            self.hosts[model] = host
        self.models.want(host)
        return host

    def _parties(self) -> list[Party]:
        """Who takes turns of the machine: the models, and who measures one that is never idle."""
        hosts = list(self.hosts.values())
        tables = (host.tuning.insistence for host in hosts)
        return [*hosts, *(each for each in tables if each.involved)]

    def _tuning(self, model: str) -> Tuning:
        """Overrides are the settings'; what is measured is kept when there is a shelf."""
        given = self.settings
        return Tuning(
            model,
            shelf=self.shelf if given.calibrate else None,
            peers=lambda: [host.tuning for host in self.hosts.values()],
            cores=given.cores,
            threads=given.threads,
            seats=given.batch,
        )

    def unload(self, model: str) -> None:
        """Close a host that no process uses."""
        host = self.hosts.pop(model)
        self.past.add(host)
        self.models.gave_up(host)
        host.close()

    # Time.

    def tick(self) -> None:
        """Look at the foreground and at who waits too long, as long as there are processes."""
        if not self.ticking and self._interpreters:
            self.ticking = True
            self.clock.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self.ticking = False
        foreground.refresh(self.table)
        self.goals.tick(self.clock.now())
        self.load.note(self.clock.now(), sum(process.state == RUN for process in self.table))
        for host in self.hosts.values():
            for core in host.cores.values():
                core.tick(self.settings.starvation_s)
                core.plan()
        self.dealing.look()
        self.tick()

    def _note_idle(self) -> None:
        if not self._interpreters and not self.callers:
            self.idle_since = self.clock.now()

    @property
    def idle(self) -> bool:
        """Whether there is no process and no client."""
        return not self._interpreters and not self.callers

    def unload_idle(self) -> None:
        """Close hosts that nobody has used for a while."""
        now = self.clock.now()
        for model, host in list(self.hosts.items()):
            if not host.members and now - host.last_used > self.settings.model_idle_s > 0:
                self.say(f"{model}: unloaded after {self.settings.model_idle_s:.0f} idle seconds")
                self.unload(model)

    # Books.

    def say(self, line: str) -> None:
        """One line for dmesg."""
        self.console.say(line)

    def check(self) -> list[str]:
        """Faults in all books; empty when they are right."""
        faults = self.table.check() + self.dealing.check() + self.models.check() + self.quotas.check()
        for host in self.hosts.values():
            faults += host.check()
        for process in self.table:
            for file in process.files:
                faults += file.pipe.check() if file.pipe is not None else []
            # One that has no host yet is still being journaled.
            if process.alive and process.host is not None and process.pid not in self._interpreters:
                faults.append(f"process {process.pid}: alive without an interpreter")
        members = sum(len(host.members) for host in self.hosts.values())
        if members != len(self._interpreters):
            faults.append(f"{members} streams of {len(self._interpreters)} live processes")
        return faults
