"""A process brought to each place where a signal, a crash or a limit may find it.

Each place is a machine with a neighbour in it that has work to do, and the process under test. It
knows nothing of what is then done to them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from llmsh.drivers.fakecore import Options
from llmsh.kernel.proc import Process
from llmsh.kernel.settings import Settings

from .machine import Client, Machine
from .undisturbed import End, Job, end_of, undisturbed

NEIGHBOUR = Job("say", "the neighbour")
LONG = "lorem ipsum " * 120


class Place(NamedTuple):
    """Where the process is: what it runs, on which machine, and how one knows that it is there."""

    job: Job
    options: Options
    there: Callable[[Process, dict[str, Any]], bool]
    policy: str = "fair"
    batch: int = 16
    reading: bool = True
    give: bool = True


def _waits(wchan: str) -> Callable[[Process, dict[str, Any]], bool]:
    return lambda _, row: bool(row["wchan"] == wchan)


PLACES = {
    "queued": Place(
        Job("say", "x"), Options(), lambda p, row: row["stat"] == "R" and p.stream is not None and p.stream.goal != "",
        policy="fcfs", batch=1,
    ),
    "prefill": Place(Job("say", LONG), Options(prefill=1.0, lone=1), lambda _, row: 0 < row["tokens_in"] < len(LONG)),
    "generating": Place(Job("say", "x"), Options(answer=60), lambda _, row: row["tokens_out"] == 5),
    "input": Place(Job("each", given=b"one\ntwo\n"), Options(), _waits("input"), give=False),
    "pipe": Place(Job("say", "x"), Options(answer=600), _waits("pipe"), reading=False),
    "load": Place(Job("say", "x"), Options(start=2000), _waits("load")),
    "tokenize": Place(Job("say", "x"), Options(control=100), _waits("tokenize")),
    "scoring": Place(Job("sort", "x"), Options(ms=100), lambda p, _: p.stream is not None and p.stream.op != 0),
}  # fmt: skip


class Scene:
    """The machine with both processes, at the moment when the one under test is where it should be."""

    def __init__(self, name: str) -> None:
        self.place = place = PLACES[name]
        made = Settings(strict=True, policy=place.policy, batch=place.batch, pipe_capacity=256)
        self.machine = Machine(place.options, settings=made)
        self.other = self.machine.client(pid=200, sid=200)
        self.client: Client = self.machine.client()
        self.client.reading = place.reading
        self.neighbour = NEIGHBOUR.start(self.other)
        self.machine.go(0.02 if name not in ("load", "tokenize") else 0)
        self.pid = place.job.start(self.client, give=place.give)[0]
        process = self.machine.kernel.table.get(self.pid)
        self.machine.clock.run_until(lambda: place.there(process, self.row()))
        self.process = process

    def row(self) -> dict[str, Any]:
        """The process's row of ps."""
        return self.client.row(self.pid)

    def kill(self, number: int) -> int:
        """Send a signal; the call's number."""
        return self.client.post("kill", pid=self.pid, sig=number)

    def let_go(self) -> None:
        """Its reader reads and its input comes: nothing holds it back any more."""
        self.client.reading = True
        for pid, fd in list(self.client.owed):
            self.client.read(pid, fd)
        if not self.place.give and self.process.alive:
            self.client.give(self.pid, self.place.job.given or b"")

    def finish(self) -> End:
        """Let time pass until both have ended; the end of the process under test. The neighbour must
        not have noticed anything."""
        self.machine.clock.run_until(lambda: bool(self.client.exited(self.pid)))
        self.machine.clock.run_until(lambda: bool(self.other.exited(self.neighbour[0])))
        self.machine.go(1)
        self.machine.sound()
        assert end_of(self.other, self.neighbour) == undisturbed(NEIGHBOUR, self.place.options)
        assert self.cells() == 0
        return end_of(self.client, [self.pid])

    def whole(self) -> End:
        """What the process says when nobody disturbs it."""
        return undisturbed(self.place.job, self.place.options)

    def cells(self) -> int:
        """Cells in use that are not the neighbour's; the engine's books know of no more."""
        hosts = self.machine.kernel.hosts.values()
        used = sum(core.cells.used for host in hosts for core in host.cores.values())
        engine = self.machine.device.engine
        assert engine is None or sum(core.cells.used for core in engine.cores.values()) <= used
        stream = self.machine.kernel.table.get(self.neighbour[0]).stream
        held = sum(host.held for host in hosts)
        if stream is None or not any(host.resident(stream) for host in hosts):
            return held
        return held - stream.held - stream.shared
