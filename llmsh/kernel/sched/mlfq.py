"""Fair shares between sessions, and within one a multi-level feedback queue that skips levels by the length of the
prompt. Source: Wu et al., "Fast Distributed Inference Serving for Large Language Models" (FastServe, NSDI 2026);
Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024) between sessions, as in fair.py.

How long an answer will be is not known, but the prompt is: a task joins at the first level whose
quantum covers its prefill, so that a long prompt does not hold up short ones on its way down. Who has
used up a level's quantum sinks by one, the sooner the nicer it is; who has starved comes back to the first. In
a level there are shares by nice: all that run for long meet in the last.
"""

from llmsh.kernel.sched.policy import Task
from llmsh.kernel.sched.sessions import SLACK, Sessions

LEVELS = 8
FIRST = 32.0
"""Service of the first level, in tokens; each further level has twice as much."""


def quantum(level: int) -> float:
    """Service of a level, in tokens."""
    return FIRST * float(1 << level)


def level_of(ahead: float) -> int:
    """The first level whose quantum covers so much work; the last for more than any does."""
    return next((level for level in range(LEVELS - 1) if quantum(level) >= ahead), LEVELS - 1)


MUCH = 1.5
"""By how much a job must be larger than another, as far as is known, to wait for it."""


def _size(task: Task) -> float:
    """Tokens of a job that are known of: those of its input, or those that it had for its weight."""
    return max(1.0, task.work, task.had)


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
            task.level, task.served, task.vtime = level_of(task.ahead), 0.0, 0.0
            task.work, task.had, task.ahead = task.ahead, 0.0, 0.0
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
        """See Policy: demotion by attained service, the sooner the nicer it is."""
        line = self.lines.get(task.group)
        if line is not None and cost > 0:
            # Who comes begins behind those that have just been served, so that who is nearly done stays before them.
            line.floors[task.level] = max(task.vtime + cost, line.floors.get(task.level, 0.0))
        task.vtime += cost / task.weight
        task.served += cost / task.weight
        task.had += cost / task.weight
        level = task.level
        while task.level < LEVELS - 1 and task.served >= quantum(task.level):
            task.served -= quantum(task.level)
            task.level += 1
        self._place(task, anew=task.level != level)
        self.grant(task, cost)

    def waits(self, task: Task) -> bool:
        """See Policy: of another level, who is nicer and had more for its weight."""
        first = self._served
        if first is not None and first.group == task.group and first.level != task.level:
            return task.weight < first.weight and task.had > first.had + SLACK
        return super().waits(task)

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: whoever is above another of its session, and a much smaller job as far as is known: of those that
        go side by side none stops because it sinks first."""
        return task.group == other.group and task.level < other.level and _size(other) >= MUCH * _size(task)

    def starved(self, task: Task) -> None:
        """See Policy: promotion."""
        task.level, task.served = 0, 0.0
        self._place(task, anew=True)

    def _place(self, task: Task, *, anew: bool) -> None:
        line = self.lines.get(task.group)
        if anew:
            task.vtime = line.floors.get(task.level, 0.0) if line is not None else 0.0
        if line is not None and task in line.tasks:
            line.tasks.put(task, self.key(task))
