"""Two sessions that always have somebody to serve, and how far the service of one is ahead of the other's.

What a session is backlogged on, and the bound of the difference, stand in the first words of sched/fair.py.
"""

from typing import NamedTuple

from hypothesis import strategies as st

from llmsh.kernel.core import Core
from llmsh.kernel.proc import Process
from llmsh.kernel.rates import INPUT_COST

from .machine import Machine

LOOK_S = 0.1
"""How often the difference is looked at."""


class Guest(NamedTuple):
    """A process that comes beside those of its session that never end."""

    at: float
    session: int
    prompt: int
    tokens: int
    nice: int


guests = st.lists(
    st.builds(
        Guest,
        at=st.sampled_from((0.0, 0.3, 1.0, 2.0, 4.0)),
        session=st.integers(0, 1),
        prompt=st.sampled_from((1, 50, 400, 1500)),
        tokens=st.integers(1, 300),
        nice=st.sampled_from((0, 0, -5, 10)),
    ),
    max_size=12,
)


def bound(quantum: int, seats: int, longest: int) -> float:
    """Of the difference in service of two sessions of weight 1; the seats are those of all cores."""
    return 2 * ((2 * seats + 1) * quantum + seats * INPUT_COST * longest)


class Rivals:
    """Two sessions on a machine. `endless`: with how many each begins that never end."""

    def __init__(self, machine: Machine, load: list[Guest], endless: int = 1) -> None:
        self.machine = machine
        self._clients = [machine.client(), machine.client(pid=200, sid=200)]
        self._ran: list[list[Process]] = [[], []]
        self._left = sorted(load)
        for session in (0, 1):  # one after the other: then each is dealt out to all cores
            for number in range(endless):
                self._start(session, f"{number} endless")
        machine.clock.run_until(lambda: machine.kernel.hosts["fake"].ready)
        self._began = machine.clock.now()

    def _start(self, session: int, text: str, **more: object) -> None:
        pid = self._clients[session].run("ask", text, **more)
        self._ran[session].append(self.machine.kernel.table.get(pid))

    def differences(self, seconds: float) -> list[list[float]]:
        """How far the first is ahead of the second, at every look; a new list after each look at which one of them
        had nobody on some core."""
        out: list[list[float]] = [[]]
        for _ in range(int(seconds / LOOK_S)):
            self._come()
            self.machine.go(LOOK_S)
            if self.backlogged():
                out[-1].append(self._difference())
            elif out[-1]:
                out.append([])
        self.machine.sound()
        return out

    def _come(self) -> None:
        while self._left and self.machine.clock.now() - self._began >= self._left[0].at:
            guest = self._left.pop(0)
            self._start(guest.session, "x" * guest.prompt, nice=guest.nice, params={"max_tokens": guest.tokens})

    def _difference(self) -> float:
        one, two = (sum(each.tokens_out + INPUT_COST * each.tokens_in for each in own) for own in self._ran)
        return float(one - two)

    def backlogged(self) -> bool:
        """Whether each has somebody on each core."""
        host = self.machine.kernel.hosts["fake"]
        return all(_sessions(core) == 2 for index, core in host.cores.items() if index < host.facts.cores)


def _sessions(core: Core) -> int:
    """Sessions of which one that can run is here, and not on its way."""
    return len({each.task.group for each in core.queue.streams.values() if not each.op})
