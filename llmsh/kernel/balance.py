"""Which core a runnable stream belongs on: loads are evened out as SMP kernels do, by what the streams
deserve and not by their number. Who goes is a pure function; how it goes is migration.py's.

A stream's load is its share of its session's, so that forty processes of one session weigh as much as
one of another. Goals with a deadline go first where the policy says so (feasible.py). Source: "CFS group
scheduling" and load balancing in sched-design-CFS, kernel.org.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Generic, Protocol, TypeVar

from llmsh.abi.lease import CORES_MAX
from llmsh.kernel.clock import Clock, Timer
from llmsh.kernel.feasible import Job, assign
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sched import Task
from llmsh.kernel.sched.policy import FOREGROUND
from llmsh.kernel.seating import Seating
from llmsh.kernel.stream import Stream
from llmsh.kernel.weights import Kind, Weights

GAIN = 0.125
"""What a move must win, in parts of a core's fair load: less is not worth the images it makes."""
SETTLED_S = 0.2
"""Who has just moved stays so long."""
LOOKS = 32
"""Of so many it is asked whether they can move, for one that does."""
DEADLINE = "deadline"
"""The policy under which goals are placed first: each where it ends first, the earliest deadline before others."""
EXPECTED = 128.0
"""Tokens that an answer is expected to have of which nothing better is known."""


def ahead(queue: RunQueue) -> float:
    """The tokens that those in the foreground are expected to make still, before any goal is served."""
    front = [each for each in queue.front.values() if not in_time(each.task)]
    return sum(min(EXPECTED, float(each.answer.end - len(each))) for each in front if each.answer is not None)


def in_time(task: Task) -> bool:
    """Whether it has a deadline that it can meet."""
    return task.goal is not None and task.goal.due < inf and not task.goal.late


def totals(cores: Sequence[Weights]) -> dict[str, float]:
    """The weight of each session over all cores."""
    found: dict[str, float] = {}
    for weights in cores:
        for session, weight in weights.sums.items():
            found[session] = found.get(session, 0.0) + weight
    return found


def loads(cores: Sequence[Weights], front: float = 1.0) -> list[float]:
    """The load of each core: over all cores a session weighs 1, and those of it in the foreground `front` times
    what they would."""
    whole = totals(cores)
    return [
        sum(
            (weight + (front - 1) * each.fronts.get(session, 0.0)) / whole[session]
            for session, weight in each.sums.items()
        )
        for each in cores
    ]


def move(
    cores: Sequence[Weights], free: Callable[[Task, int], bool], front: float = 1.0
) -> tuple[int, int, Task] | None:
    """The move that evens out most: from, to, task; None when none is worth it. `front`: see loads.

    `free`: whether a task can be moved to a core now; asked of LOOKS at most. A core without any task always gets one
    from a core with two."""
    sums, whole = loads(cores, front), totals(cores)
    light = sums.index(min(sums))
    idle = not len(cores[light])
    heavy = max(range(len(cores)), key=lambda core: (not idle or len(cores[core]) > 1, sums[core]))
    gap = sums[heavy] - sums[light]
    least = 0.0 if idle else GAIN * sum(sums) / len(cores)
    gains: list[tuple[float, Kind]] = []
    for kind in cores[heavy].kinds:
        session, weight, foreground = kind
        load = weight * (front if foreground else 1.0) / whole[session]
        gain = gap - abs(gap - 2 * load)
        if gain > least and load < gap:
            gains.append((gain, kind))
    gains.sort(key=lambda each: each[0], reverse=True)
    task = cores[heavy].first((kind for _, kind in gains), lambda task: free(task, light), LOOKS)
    return (heavy, light, task) if task is not None else None


def gather(cores: Sequence[Weights], free: Callable[[Task], bool], width: int) -> tuple[int, int, Task] | None:
    """The next move to fewer cores: who goes from the one with the least to the next; None when no more
    than `width` have any task, or nobody of it can go."""
    busy = sorted((len(tasks), place) for place, tasks in enumerate(cores) if len(tasks))
    if len(busy) <= width:
        return None
    (_, source), (_, target) = busy[:2]
    task = cores[source].first(iter(list(cores[source].kinds)), free, LOOKS)
    return (source, target, task) if task is not None else None


def eligible(counts: Sequence[int], width: int) -> list[int]:
    """The cores that streams may go to, so that at most `width` have any."""
    busy = [place for place, count in enumerate(counts) if count]
    return busy if len(busy) >= width else list(range(len(counts)))


class Core(Protocol):
    """What this asks of a core."""

    queue: RunQueue
    seating: Seating

    def halt(self, stream: Stream) -> None:
        """Take its lease back."""


C = TypeVar("C", bound=Core)


class Balance(Generic[C]):
    """Evens out the cores of one device, soon after a change. `send` moves a quiet stream that is movable; `rooted`
    says whether one had better stay on its core than go to another."""

    def __init__(
        self,
        clock: Clock,
        movable: Callable[[C, Stream], bool],
        send: Callable[[Stream, C, C], None],
        rooted: Callable[[Stream, C, C], bool],
    ) -> None:
        self.cores: list[C] = []
        self.width = CORES_MAX
        """How many of them are to have runnable streams at once, at most."""
        self._clock = clock
        self._movable = movable
        self._send = send
        self._rooted = rooted
        self._timer: Timer | None = None
        self._later: Timer | None = None
        """Somebody should go but cannot yet, or had better stay for now: looked at again then."""
        self._leaving: Stream | None = None
        """Whose lease was taken back so that it can go."""

    def lightest(self, task: Task | None = None) -> int:
        """Where somebody new goes."""
        counts = [len(core.queue) for core in self.cores]
        among = eligible(counts, self.width)
        if task is not None and self._goals and in_time(task):
            return among[self._places([*self._timely(among), (-1, task)], among)[-1]]
        return min(among, key=lambda place: counts[place])

    def place(self, stream: Stream) -> int:
        """Where a stream goes that has nothing yet: to what it can share, else where the fewest are."""
        light = self.lightest(stream.task)
        if self._goals and in_time(stream.task):
            return light
        among = [self.cores[at] for at in eligible([len(core.queue) for core in self.cores], self.width)]
        better = [core for core in among if self._rooted(stream, core, self.cores[light])]
        best = max(better, key=lambda core: sum(self._rooted(stream, core, each) for each in better), default=None)
        return self.cores.index(best) if best is not None else light

    @property
    def _goals(self) -> bool:
        """Whether goals decide who runs."""
        return bool(self.cores) and self.cores[0].queue.policy.name == DEADLINE

    def _timely(self, among: Sequence[int]) -> list[tuple[int, Task]]:
        """The goals that can be met, with their places among these cores."""
        queues = [self.cores[place].queue for place in among]
        return [
            (at, stream.task)
            for at, queue in enumerate(queues)
            for stream in queue.goals.values()
            if in_time(stream.task)
        ]

    def _places(self, goals: Sequence[tuple[int, Task]], among: Sequence[int]) -> list[int]:
        """Where each of them is to run."""
        jobs = [Job(task.goal.due, self._ahead(task, at, among), at) for at, task in goals if task.goal is not None]
        return [place.core for place in assign(jobs, [ahead(self.cores[core].queue) for core in among])]

    def _ahead(self, task: Task, at: int, among: Sequence[int]) -> float:
        """The work of a goal, which is at one of these cores or (-1) nowhere yet."""
        assert task.goal is not None  # looked at by both callers
        return self.cores[among[at]].queue.streams[task.ident].ahead(task.goal) if at >= 0 else task.goal.work

    def _by_due(self, among: Sequence[int]) -> tuple[int, int, Task] | None:
        """The move that lets a goal end sooner."""
        goals = self._timely(among)
        found = zip(goals, self._places(goals, among), strict=True)
        return next(((at, to, task) for (at, task), to in found if at != to and self._free(task)), None)

    def changed(self) -> None:
        """Somebody became runnable or stopped being so: look once it is all said."""
        if len(self.cores) > 1 and self._timer is None:
            self._timer = self._clock.call_later(0, self._even_out)

    def _even_out(self) -> None:
        self._timer = None
        for _ in self.cores:
            found = self._next() if self._leaving is None else None
            if found is None:
                return
            self._go(*found)

    def _again(self) -> None:
        self._later = None
        self.changed()

    def _next(self) -> tuple[Stream, C, C] | None:
        """The move to make now: who, from where and to where."""
        weights = [core.queue.weights for core in self.cores]
        found = gather(weights, self._free, self.width)
        if found is None:
            among = eligible([len(each) for each in weights], self.width)
            best = self._best(among) if len(among) > 1 else None
            if best is None:
                return None
            found = (among[best[0]], among[best[1]], best[2])
        source, target = self.cores[found[0]], self.cores[found[1]]
        return source.queue.streams[found[2].ident], source, target

    def _best(self, among: Sequence[int]) -> tuple[int, int, Task] | None:
        """The move among these cores: goals first, where they decide."""
        best = self._by_due(among) if self._goals else None
        return best or self._move(among, self._unbegun) or self._move(among, self._free)

    def _move(self, among: Sequence[int], free: Callable[[Task], bool]) -> tuple[int, int, Task] | None:
        weights, goals = [self.cores[place].queue.weights for place in among], self._goals

        def goes(task: Task, to: int) -> bool:
            if goals and in_time(task):
                return False
            core, stream = self._where(task)
            if free(task) and not self._rooted(stream, core, self.cores[among[to]]):
                return True
            if self._later is None:
                self._later = self._clock.call_later(SETTLED_S, self._again)
            return False

        return move(weights, goes, self._front)

    @property
    def _front(self) -> float:
        """What a task in the foreground weighs: with one seat a core, those beside it have the rest of its share."""
        return FOREGROUND if all(core.seating.seats == 1 for core in self.cores) else 1.0

    def _unbegun(self, task: Task) -> bool:
        """Who has not begun has nothing to take along, and nobody waits for what it computes."""
        return not self._where(task)[1].q and self._free(task)

    def _where(self, task: Task) -> tuple[C, Stream]:
        core = next(each for each in self.cores if task.ident in each.queue.streams)
        return core, core.queue.streams[task.ident]

    def _free(self, task: Task) -> bool:
        """Whether it can go now, and has not just come."""
        core, stream = self._where(task)
        settled = stream.moved <= self._clock.now() - SETTLED_S or not (stream.q or stream.moved)
        return settled and self._movable(core, stream)

    def _go(self, stream: Stream, source: C, target: C) -> None:
        if not stream.leased:
            self._send(stream, source, target)
            return
        self._leaving = stream
        stream.on_quiet.append(self._arrived)
        source.halt(stream)

    def _arrived(self) -> None:
        """It is quiet, or its engine is gone, or itself: who is to go now goes, before anybody gets a lease."""
        self._leaving = None
        found = self._next()
        # Its halt may have freed another that shares with it; who has no lease goes in any case, or it has no end.
        if found is not None and not found[0].leased:
            self._send(*found)
        self.changed()
