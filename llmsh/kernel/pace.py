"""The pace of one core: how long its steps take by how many rows they have, and how many of the background
may run beside the foreground so that the time between its tokens keeps within a target.

It learns from steps that only generate; how much of a prompt fits into a step is the engine's to say, to
whom a lease of the foreground tells the target. It knows no policy.
"""

from bisect import bisect_left
from typing import Protocol

from llmsh.abi.lease import Step
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.seating import Seating
from llmsh.kernel.stream import Stream

WEIGHT = 0.2
"""Of a new step in the mean of those before."""
PLANNED = 0.9
"""The part of the target that is planned for: the machine is not always as fast as it just was."""


class Steps:
    """Mean milliseconds of a step by its rows."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        """The numbers of rows that were seen, in order."""
        self._ms: dict[int, float] = {}

    def saw(self, rows: int, ms: float) -> None:
        """A step of so many generated tokens took so long."""
        if rows not in self._ms:
            self._rows.insert(bisect_left(self._rows, rows), rows)
            self._ms[rows] = ms
        self._ms[rows] += WEIGHT * (ms - self._ms[rows])

    @property
    def rate(self) -> float:
        """Tokens a second of a sequence that runs alone, 0 while that is not known."""
        ms = self._ms.get(1, 0.0)
        return 1000 / ms if ms else 0.0

    def ms(self, rows: int) -> float:
        """How long a step of so many rows will take, 0 while nothing is known. Between two that were seen
        it lies between them; further rows are taken to cost as much as the last, and to be tried."""
        seen = self._rows
        if not seen:
            return 0.0
        place = bisect_left(seen, rows)
        if place < len(seen) and (seen[place] == rows or not place):
            return self._ms[seen[place]]
        low = seen[place - 1]
        if place < len(seen):
            high = seen[place]
            part = (rows - low) / (high - low)
            return self._ms[low] + part * (self._ms[high] - self._ms[low])
        first = seen[0]
        each = (self._ms[low] - self._ms[first]) / (low - first) if low > first else self._ms[low] / low
        return self._ms[low] + max(0.0, each) * (rows - low)


class Owner(Protocol):
    """The core whose pace this is."""

    queue: RunQueue
    leased: dict[int, Stream]
    seating: Seating

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve."""

    def halt(self, stream: Stream) -> None:
        """Take a lease back."""


class Pace:
    """Who runs beside the foreground of one core."""

    def __init__(self, core: Owner, latency: float) -> None:
        self.steps = Steps()
        self.latency = latency
        """Milliseconds between two tokens of the foreground; 0 for no target."""
        self._core = core
        self._beside: dict[int, int] = {}
        """By how many are in the foreground, how many of the background may run beside; made when asked for."""

    def saw(self, step: Step) -> None:
        """One decode: what it says of steps to come."""
        if step.rows and not step.fed:
            self.steps.saw(len(step.rows), step.ms)
            self._beside.clear()

    def target(self, stream: Stream) -> float:
        """What a lease of the stream tells the engine: how long the steps may be that it is in, 0 for no matter."""
        return self.latency if stream.task.foreground else 0.0

    @property
    def ahead_ms(self) -> float:
        """How long the steps to come will take that only generate, 0 while nothing is known."""
        queue = self._core.queue
        rows = min(len(queue), self._core.seating.seats)
        if queue.front:
            rows = min(rows, len(queue.front) + self._room(overdue=False))
        return self.steps.ms(rows) if rows else 0.0

    def first(self) -> list[Stream]:
        """Those in the foreground, who are served before the policy is asked, unless one of them was just
        typed to and comes before the others, too."""
        front = self._core.queue.front
        return [] if self._typed() else sorted(front.values(), key=self._core.rank)

    def clear(self) -> None:
        """Somebody comes before everybody: the others' leases end. Who only waited too long does not stop
        the foreground."""
        typed = self._typed()
        for stream in list(self._core.leased.values()):
            if not stream.task.boost and (typed or not stream.task.foreground):
                self._core.halt(stream)

    def thin(self) -> None:
        """Those of the background who are too many beside the foreground end their leases now."""
        if not self._core.queue.front:
            return
        back = self._back()
        over = len(back) - self._room(any(stream.task.boost for stream in back))
        for victim in sorted(back, key=self._core.rank, reverse=True)[: max(0, over)]:
            self._core.halt(victim)

    def holds(self, stream: Stream) -> bool:
        """Whether the stream has to wait until somebody else of the background stops."""
        if stream.leased or stream.task.foreground or not self._core.queue.front:
            return False
        return len(self._back()) >= self._room(stream.task.boost > 0)

    def _typed(self) -> bool:
        return any(stream.task.boost for stream in self._core.queue.front.values())

    def _back(self) -> list[Stream]:
        return [each for each in self._core.leased.values() if not (each.task.foreground or each.halting)]

    def _room(self, overdue: bool) -> int:
        """How many of the background may run; one that has waited longer than anybody should runs in any case."""
        front = len(self._core.queue.front)
        if front not in self._beside:
            self._beside[front] = self._most(front)
        return max(int(overdue), self._beside[front])

    def _most(self, front: int) -> int:
        counts = range(max(0, self._core.seating.seats - front), 0, -1)
        if not self.latency:
            return len(counts)
        limit = PLANNED * self.latency
        return next((count for count in counts if self.steps.ms(front + count) <= limit), 0)
