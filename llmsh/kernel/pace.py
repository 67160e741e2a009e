"""The pace of one core: how long its steps take by how many rows they have, and how many of the background
may run beside the foreground so that the time between its tokens keeps within a target.

It learns from steps that only generate; how much of a prompt fits into a step is the engine's to say, to
whom a lease of the foreground tells the target. It knows no policy.
"""

from bisect import bisect_left
from math import exp
from typing import Protocol

from llmsh.abi.lease import Step
from llmsh.kernel.configuration import PLANNED
from llmsh.kernel.port import Port
from llmsh.kernel.rates import MEMORY_S
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.seating import Seating
from llmsh.kernel.stream import Stream
from llmsh.kernel.turns import Turns

WEIGHT = 0.2
"""Of a new step in the mean of those before."""
CREEP = 1.001
"""By which the shortest grows with each step, up to the mean."""
LOOK_S = 1.0
"""How often it is looked whether what is not seen any more has faded."""


class Steps:
    """Mean milliseconds of a step by its rows. What is not seen again fades into the least that it was in its time:
    who is held back for it makes no steps that could show that a disturbance is over."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        """The numbers of rows that were seen, in order."""
        self._ms: dict[int, float] = {}
        self._least: dict[int, float] = {}
        """The shortest of each; it follows the mean slowly, since longer contexts make longer steps."""
        self._at: dict[int, float] = {}
        """When each was last seen."""

    def saw(self, rows: int, ms: float, now: float = 0.0) -> None:
        """A step of so many generated tokens took so long."""
        if rows not in self._ms:
            self._rows.insert(bisect_left(self._rows, rows), rows)
            self._ms[rows] = self._least[rows] = ms
        mean = self._mean(rows, now)
        self._ms[rows] = mean + WEIGHT * (ms - mean)
        self._least[rows] = min(ms, self._ms[rows], self._least[rows] * CREEP)
        self._at[rows] = now

    def _mean(self, rows: int, now: float) -> float:
        least = self._least[rows]
        if now <= self._at.get(rows, now) or not least:
            return self._ms[rows]
        return float(least * (self._ms[rows] / least) ** exp((self._at[rows] - now) / MEMORY_S))

    def knows(self, rows: int) -> bool:
        """Whether a step of so many rows was ever seen."""
        return rows in self._ms

    @property
    def rate(self) -> float:
        """Tokens a second of a sequence that runs alone, 0 while that is not known."""
        ms = self._ms.get(1, 0.0)
        return 1000 / ms if ms else 0.0

    def ms(self, rows: int, now: float = 0.0) -> float:
        """How long a step of so many rows will take, 0 while nothing is known. Between two that were seen
        it lies between them; further rows are taken to cost as much as the last, and to be tried."""
        seen = self._rows
        if not seen:
            return 0.0
        place = bisect_left(seen, rows)
        if place < len(seen) and (seen[place] == rows or not place):
            return self._mean(seen[place], now)
        low = seen[place - 1]
        below = self._mean(low, now)
        if place < len(seen):
            high = seen[place]
            part = (rows - low) / (high - low)
            return below + part * (self._mean(high, now) - below)
        first = seen[0]
        each = (below - self._mean(first, now)) / (low - first) if low > first else below / low
        return below + max(0.0, each) * (rows - low)


class Owner(Protocol):
    """The core whose pace this is."""

    port: Port
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
        """Of the number of cores at work, and their threads, that the last step was one of."""
        self._settings: dict[tuple[int, int], Steps] = {}
        self._looked = 0.0
        self.latency = latency
        """Milliseconds between two tokens of the foreground; 0 for no target."""
        self.turns = Turns(core)
        self._core = core
        self._beside: dict[int, int] = {}
        """By how many are in the foreground, how many of the background may run beside; made when asked for."""

    def saw(self, step: Step) -> None:
        """One decode, before it is accounted: what it says of steps to come."""
        self.turns.saw(step)
        if step.rows and not step.fed:
            self.steps = self._settings.setdefault((step.threads, step.busy), Steps())
            self.steps.saw(len(step.rows), step.ms, self._core.port.now())
            self._beside.clear()

    def target(self, stream: Stream) -> float:
        """What a lease of the stream tells the engine: how long the steps may be that it is in, 0 for no matter."""
        return self.latency if stream.task.foreground or stream is self.turns.guest else 0.0

    def guest(self) -> Stream | None:
        """Somebody of the background to be served before the foreground, which has all seats, for one token."""
        seats = self._core.seating.seats
        keeps = len(self._core.queue.front) == seats and self._fits(2 * self._ms(seats))
        return self.turns.next(keeps)

    @property
    def ahead_ms(self) -> float:
        """How long the steps to come will take that only generate, 0 while nothing is known."""
        queue = self._core.queue
        rows = min(len(queue), self._core.seating.seats)
        if queue.front:
            rows = min(rows, len(queue.front) + self._room(overdue=False))
        return self.steps.ms(rows) if rows else 0.0

    @property
    def seats(self) -> int:
        """Seats of those who generate. Persons who have just typed have as many as keep the pace, be it more than
        make most tokens: who asks last does not wait until others have their answers."""
        seating, front = self._core.seating, self._core.queue.front
        typed = sum(stream.task.boost > 0 for stream in front.values())
        counts = range(min(typed, seating.places), seating.seats, -1)
        return next((count for count in counts if self._fits(self._ms(count))), seating.seats)

    def seats_of(self, stream: Stream) -> int:
        """Of how many seats a stream may take one."""
        task = stream.task
        return self.seats if task.boost and task.foreground else self._core.seating.seats

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
        over = len(back) - self._room(any(stream.task.boost for stream in back) and not self.turns.full)
        for victim in sorted(back, key=self._core.rank, reverse=True)[: max(0, over)]:
            self._core.halt(victim)

    def holds(self, stream: Stream) -> bool:
        """Whether the stream has to wait until somebody else of the background stops."""
        if stream.leased or stream.task.foreground or not self._core.queue.front or stream is self.turns.guest:
            return False
        return len(self._back()) >= self._room(stream.task.boost > 0 and self.turns.free())

    def _typed(self) -> bool:
        return any(stream.task.boost for stream in self._core.queue.front.values())

    def _back(self) -> list[Stream]:
        leased, guest = self._core.leased.values(), self.turns.guest
        return [each for each in leased if not (each.task.foreground or each.halting or each is guest)]

    def _room(self, overdue: bool) -> int:
        """How many of the background may run; one that has waited longer than anybody should in any case."""
        front, now = len(self._core.queue.front), self._core.port.now()
        if now - self._looked > LOOK_S:
            self._looked = now
            self._beside.clear()
        if front not in self._beside:
            self._beside[front] = self._most(front)
        return max(int(overdue), self._beside[front])

    def _most(self, front: int) -> int:
        counts = range(max(0, self._core.seating.seats - front), 0, -1)
        return next((count for count in counts if self._fits(self._ms(front + count))), 0)

    def _ms(self, rows: int) -> float:
        return self.steps.ms(rows, self._core.port.now())

    def _fits(self, ms: float) -> bool:
        return not self.latency or ms <= PLANNED * self.latency
