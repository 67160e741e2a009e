"""Random workloads for a whole kernel over the fake device, and what must hold while they run.

It knows no policy: what is special about one is the business of that policy's tests.
"""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from llmsh.abi import lease
from llmsh.kernel.balance import SETTLED_S
from llmsh.kernel.core import Core
from llmsh.kernel.holder import line
from llmsh.kernel.host import Host
from llmsh.kernel.stream import Stream

from .machine import Client, Machine

EVENTS_MAX = 200_000
"""Of the clock, for one workload: more, and somebody never ends."""


class Work(NamedTuple):
    """One process to come: when, whose, and how much."""

    at: float
    session: int
    front: bool
    nice: int
    prompt: int
    tokens: int
    goal: tuple[tuple[str, Any], ...] = ()

    def start(self, client: Client) -> int:
        """Begin it; its pid."""
        params = {"max_tokens": self.tokens, "late": True, **dict(self.goal)}
        return client.run("ask", "x" * self.prompt, nice=self.nice, params=params)


GOALS = ((), (), (("deadline", 5.0),), (("deadline", 40.0),), (("value", 3.0),), (("value", 50.0), ("deadline", 20)))


def works(most: int = 8, prompt: int = 300, tokens: int = 120, least: int = 1) -> st.SearchStrategy[list[Work]]:
    """Workloads: anybody at any time, a few in the foreground, some with goals."""
    one = st.builds(
        Work,
        at=st.sampled_from((0.0, 0.0, 0.1, 1.0, 3.0, 7.5)),
        session=st.integers(0, 2),
        front=st.sampled_from((False, False, False, True)),
        nice=st.sampled_from((0, 0, -5, 10)),
        prompt=st.integers(1, prompt),
        tokens=st.integers(1, tokens),
        goal=st.sampled_from(GOALS),
    )
    return st.lists(one, min_size=least, max_size=most)


class Play:
    """Runs a workload to its end and looks after every event. `trace`: what the device said, in order."""

    def __init__(self, machine: Machine, load: list[Work]) -> None:
        self.machine = machine
        self.load = sorted(load)
        self.longest = 0.0
        """The longest time for which somebody who could run had no token, in seconds."""
        self.trace: list[tuple[float, str]] = []
        self._owed: dict[int, dict[Stream, int]] = {}
        """By core: who could run and does not, and since which step."""
        self._unfair: dict[int, float] = {}
        """By core: since when it has nobody while another has two."""
        machine.kernel.host("fake")
        machine.clock.run_until(lambda: machine.kernel.hosts["fake"].ready)
        self.host: Host = machine.kernel.hosts["fake"]
        machine.listen(lambda message: self.trace.append((machine.clock.now(), repr(message))))
        self.fronts = [machine.client(pid=300 + n, sid=300 + n, tty=f"pts/{n}") for n in range(3)]
        self.backs = [machine.client(pid=200 + n, sid=200 + n) for n in range(3)]
        for client in self.fronts:
            client.peer.fg = True

    def run(self) -> list[tuple[Client, int]]:
        """Play it; who ran, in the order of their start."""
        began, clock = self.machine.clock.now(), self.machine.clock
        ran: list[tuple[Client, int]] = []
        left = list(self.load)
        for count in range(EVENTS_MAX):
            while left and clock.now() - began >= left[0].at:
                work = left.pop(0)
                client = (self.fronts if work.front else self.backs)[work.session]
                ran.append((client, work.start(client)))
            if not left and all(client.exited(pid) for client, pid in ran):
                return ran
            until = began + left[0].at if left else float("inf")
            if not clock.step(until):
                clock.advance(until - clock.now())
            clock.settle()
            self.look(deep=count % 40 == 0)
        raise AssertionError("somebody never ends")

    def look(self, deep: bool) -> None:
        """What must hold after everything that was to happen at this moment has happened."""
        now = self.machine.clock.now()
        for core in self.host.cores.values():
            for stream in core.queue.streams.values():
                self.longest = max(self.longest, now - stream.task.since)
            able = [each for each in core.queue.streams.values() if not each.op and not self._comes(core, each)]
            owes = core.leased or core.scoring or core.cells.going or self._yields(core)
            assert owes or not able, f"core {core.index} does nothing, {len(able)} could run there"
            self._served(core, able)
        assert self.machine.device.busy or not any(core.leased for core in self.host.cores.values())
        self._even(now)
        if deep:
            self.machine.sound()

    def _yields(self, core: Core) -> bool:
        """Whether it is the turn of the other core on its thread, which computes."""
        pair = self.host._pair
        return pair.waits == core.index and any(
            self.host.cores[each].working for each in pair._two if each != pair.waits
        )

    def _served(self, core: Core, able: list[Stream]) -> None:
        """Whoever is first has a lease, unless somebody's has to end before; and where the policy lets those behind
        run, no seat is free that any of them could have. What was granted on another core may let somebody run here:
        that is seen with the next steps."""
        changing = core.residence.claimant is not None or any(each.halting for each in core.leased.values())
        owed = self._owed.pop(core.index, {})
        if changing or core.residence.doomed or core.scoring or self._yields(core) or not self.host.ready:
            return
        order = core.queue.first
        first = order.pick()
        who = able if order.yields else [each for each in able if first is not None and each.task is first]
        could = [stream for stream in who if not stream.leased and self._sits(core, stream)]
        self._owed[core.index] = {stream: owed.get(stream, core.steps) for stream in could}
        for stream, since in self._owed[core.index].items():
            assert core.steps <= since + 1, f"core {core.index}: {stream.ident} could run, and a seat is free"

    def _sits(self, core: Core, stream: Stream) -> bool:
        """Whether nothing is in its way: others, in all seats or by the foreground's pace or of its session, cells
        that lie elsewhere, or a prompt that another computes for it just now."""
        if core.queue.first is core.queue.urgent and not stream.task.boost:
            return False
        if stream not in core.cells and (stream.q or self._comes(core, stream)):
            return False
        further = core.sharing._further(stream, len(stream) + 1)
        if further is not None and further.wait:
            return False
        holds = core.pace.holds(stream) or core.deference.holds(stream)
        seats = core.pace.seats_of(stream)
        return not holds and core.seating.free(stream, core.leased.values(), len(core.scoring), seats)

    def _comes(self, core: Core, stream: Stream) -> bool:
        """Whether what it is to begin with is on its way here, or just being computed by another."""
        if stream.q:
            return any(each.op and each not in core.cells for each in line(stream.base))
        donor, _, wait = core.sharing._source(stream, len(stream) + 1)
        return wait or any(each.op for each in line(donor))

    def _even(self, now: float) -> None:
        """No core has nobody for long while another has two: who just moved may stay a moment, and who waits for a
        prompt that another computes for both would only compute it, too."""
        shared = [core for index, core in self.host.cores.items() if index != lease.EXACT]
        spare = any(len(core.queue) - len(core.sharing.waiting) > 1 for core in shared)
        for core in shared:
            if len(core.queue) or not spare:
                self._unfair.pop(core.index, None)
            else:
                since = self._unfair.setdefault(core.index, now)
                assert now - since <= 3 * SETTLED_S, f"core {core.index} has nobody, another has two"
