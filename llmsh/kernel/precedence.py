"""Who of one core waits because somebody of its session comes before it, though there is a seat.

Where a row more makes a step longer, a seat given to who comes later is time taken from who comes first. So under a
policy that is strict, those who come later generate beside the first only as far as that hardly shows, as it does
where a step takes as long for many rows as for one; their input, which is as long in any company, waits. It knows
no level: who comes before whom is the policy's.
"""

from typing import Protocol

from llmsh.kernel.pace import Pace
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sched import Policy, Task
from llmsh.kernel.seating import generates
from llmsh.kernel.stream import Stream

LONGER = 1.1
"""By how much others may lengthen the steps of who comes first."""


class Owner(Protocol):
    """The core."""

    queue: RunQueue
    leased: dict[int, Stream]
    pace: Pace

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve."""

    def halt(self, stream: Stream) -> None:
        """Take a lease back."""


class Precedence:
    """Of one core, in one plan."""

    def __init__(self, core: Owner) -> None:
        self._core = core
        self._firsts: dict[str, Task] = {}
        """Of each session the first that runs."""

    def begin(self) -> None:
        """A plan begins."""
        self._firsts.clear()

    def runs(self, task: Task) -> None:
        """It has a lease; nobody of its session was dealt one before, or who was comes first."""
        self._firsts.setdefault(task.group, task)

    def holds(self, policy: Policy, stream: Stream) -> bool:
        """Whether a stream has to wait; those who run though they have to, halt."""
        first = self._firsts.get(stream.task.group)
        if first is None or not policy.strict or not policy.preempts(first, stream.task):
            return False
        leased = [each for each in self._core.leased.values() if not each.halting]
        later = [each for each in leased if self._later(policy, each)]
        room = self._room(len(leased) - len(later), len(later) + 1)
        for each in sorted(later, key=self._core.rank, reverse=True)[: len(later) - room]:
            self._core.halt(each)
        return not (stream.leased and not stream.halting) and (room <= len(later) or not generates(stream))

    def _later(self, policy: Policy, stream: Stream) -> bool:
        """Whether it runs though another comes before it; persons and who waited too long have rules of their own."""
        first, task = self._firsts.get(stream.task.group), stream.task
        if first is None or task.foreground or task.boost or stream is self._core.pace.turns.guest:
            return False
        return policy.preempts(first, task)

    def _room(self, first: int, most: int) -> int:
        """How many more rows there may be beside so many."""
        ms, bound = self._core.pace.steps.ms, LONGER * self._core.pace.steps.ms(first)
        return next((more for more in range(most, 0, -1) if ms(first + more) <= bound), 0)
