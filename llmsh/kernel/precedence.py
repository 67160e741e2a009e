"""Who of one core waits because somebody of its session comes before it, though there is a seat.

Where a row more makes a step longer, a seat given to who comes later is time taken from who comes first. So under a
policy that is strict, those who come later generate beside the first only as far as that hardly shows, as it does
where a step takes as long for many rows as for one; their input, which fills any step, waits. It knows
no level: who comes before whom is the policy's.
"""

from itertools import filterfalse, takewhile
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

    def leads(self, policy: Policy, task: Task) -> None:
        """It has a lease. Of its session's it is the first, unless there was another before it in this plan: those who
        run though they have to wait for it halt, all that compute input and the last of those that generate."""
        if not policy.strict or task.group in self._firsts:
            return
        self._firsts[task.group] = task
        later = self._running(policy)
        rows = sorted(filter(generates, later), key=self._core.rank)
        room = self._room(self._staying - len(later), len(rows))
        for each in [*filterfalse(generates, later), *rows[room:]]:
            self._core.halt(each)

    def holds(self, policy: Policy, stream: Stream) -> bool:
        """Whether a stream has to wait."""
        if not self._later(policy, stream):
            return False
        if not stream.leased and not generates(stream):
            return True
        later = [each for each in self._running(policy) if each is not stream]
        return self._room(self._staying - len(later), len(later) + 1) <= len(later)

    @property
    def _staying(self) -> int:
        """Who has a lease and goes on."""
        return sum(not each.halting for each in self._core.leased.values())

    def _running(self, policy: Policy) -> list[Stream]:
        leased = self._core.leased.values()
        return [each for each in leased if not each.halting and self._later(policy, each)]

    def _later(self, policy: Policy, stream: Stream) -> bool:
        """Whether another that runs comes before it; persons and who waited too long have rules of their own."""
        first, task = self._firsts.get(stream.task.group), stream.task
        if first is None or task.foreground or task.boost or stream is self._core.pace.turns.guest:
            return False
        return policy.strict and policy.preempts(first, task)

    def _room(self, first: int, most: int) -> int:
        """How many more rows there may be beside so many. What was never seen is tried, for a step."""
        steps = self._core.pace.steps
        bound = LONGER * steps.ms(first)
        rows = range(first + 1, first + most + 1)
        return sum(1 for _ in takewhile(lambda each: not steps.knows(each) or steps.ms(each) <= bound, rows))
