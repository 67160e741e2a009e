"""Fair shares between sessions, and within one a multi-level feedback queue that skips levels by the length of the
prompt. Source: Wu et al., "Fast Distributed Inference Serving for Large Language Models" (FastServe, NSDI 2026);
Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024) between sessions, as in fair.py.

How long an answer will be is not known, but the prompt is: a task joins at the first level whose
quantum covers its prefill, so that a long prompt does not hold up short ones on its way down, and rises as that
gets done. Who was granted so much of its answer as a level's quantum sinks by one, the sooner the nicer it is, but
not below the level that covers all that it can still cost; who has starved comes back to the first. In a level there
are shares by nice: all that run for long meet in the last.
"""

from llmsh.kernel.sched.policy import Task
from llmsh.kernel.sched.sessions import SLACK, Sessions

LEVELS = 9
FIRST = 16.0
"""Service of the first level, in tokens; each further level has twice as much."""


def quantum(level: int) -> float:
    """Service of a level, in tokens."""
    return FIRST * float(1 << level)


def level_of(ahead: float) -> int:
    """The first level whose quantum covers so much work; the last for more than any does."""
    return next((level for level in range(LEVELS - 1) if quantum(level) >= ahead), LEVELS - 1)


MUCH, LEAST = 1.5, FIRST
"""By how much a job must be larger than another, as far as is known, to wait for it: by this factor and by so many
tokens. Jobs that came together end together, within a few steps, and each step of half of them costs more than half."""


def _size(task: Task) -> float:
    """Tokens of a job that are known of: those of the input ahead of it, or those that it made for its weight; no
    more than it can still cost."""
    return max(1.0, min(max(task.ahead, task.had), task.bound))


def _level(task: Task) -> int:
    """Where it belongs now."""
    return min(max(level_of(task.ahead), task.sunk), level_of(task.bound))


class Mlfq(Sessions):
    """Levels within a session, fair shares in each; a level waits while one above it has somebody."""

    name = "mlfq"
    strict = True

    def key(self, task: Task) -> tuple[int, float]:
        """By level, there who has had least for its weight."""
        return (task.level, task.vtime)

    def add(self, task: Task) -> None:
        """See Policy. A task with input to compute is a new job; one without goes on where it was."""
        if task.ahead > 0:
            task.served = task.had = task.vtime = 0.0
            task.sunk = 0
        task.level = _level(task)
        line = self.line(task)
        task.vtime = max(task.vtime, line.floors.get(task.level, 0.0))
        self.put(task, line)

    def lag(self, task: Task) -> float:
        """See Policy."""
        line = self.lines.get(task.group)
        return max(0.0, task.vtime - line.floors.get(task.level, 0.0)) if line is not None else 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy: levels are the same on every core, counters have nothing in common but their differences."""
        line = self.line(task)
        task.vtime = line.floors.get(task.level, 0.0) + lag
        self.put(task, line)

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (self.ledger.granted[task.group], float(task.level), task.vtime)

    def charge(self, task: Task, cost: float) -> None:
        """See Policy: demotion by what it was granted of its answer, the sooner the nicer it is."""
        self._account(task, cost)
        task.served += cost / task.weight
        task.had += cost / task.weight
        while task.sunk < LEVELS - 1 and task.served >= quantum(task.sunk):
            task.served -= quantum(task.sunk)
            task.sunk += 1
        self._place(task)

    def fed(self, task: Task, cost: float) -> None:
        """See Policy: promotion by what is left."""
        self._account(task, cost)
        self._place(task)

    def _account(self, task: Task, cost: float) -> None:
        line = self.lines.get(task.group)
        if line is not None and cost > 0:
            # Who comes begins behind those that have just been served, so that who is nearly done stays before them.
            line.floors[task.level] = max(task.vtime + cost, line.floors.get(task.level, 0.0))
        task.vtime += cost / task.weight
        self.grant(task, cost)

    def behind(self, task: Task) -> bool:
        """See Policy: of another level, who is nicer and had more for its weight."""
        first = self._served
        if first is not None and first.group == task.group and first.level != task.level:
            return task.weight < first.weight and task.had > first.had + SLACK
        return super().behind(task)

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: whoever is above another of its session, and a much smaller job as far as is known: of those that
        go side by side none stops because it sinks first."""
        if task.group != other.group or task.level >= other.level:
            return False
        return _size(other) >= max(MUCH * _size(task), LEAST + _size(task))

    def starved(self, task: Task) -> None:
        """See Policy: promotion."""
        task.served, task.sunk = 0.0, 0
        self._place(task, 0)

    def _place(self, task: Task, level: int | None = None) -> None:
        """Where it belongs, or at a level; who comes to one has its floor."""
        line = self.lines.get(task.group)
        now = _level(task) if level is None else level
        if now != task.level or level is not None:
            task.level = now
            task.vtime = line.floors.get(now, 0.0) if line is not None else 0.0
        if line is not None and task in line.tasks:
            line.tasks.put(task, self.key(task))
