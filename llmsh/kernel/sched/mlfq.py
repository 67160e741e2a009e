"""Fair shares between sessions, and within one a multi-level feedback queue that skips levels by the length of the
prompt. Source: Wu et al., "Fast Distributed Inference Serving for Large Language Models" (FastServe, NSDI 2026);
Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024) between sessions, as in fair.py.

How long an answer will be is not known, but the prompt is: a task joins at the first level whose
quantum covers its prefill, so that a long prompt does not hold up short ones on its way down. Who has
used up a level's quantum sinks by one, the sooner the nicer it is; who has starved comes back to the first.
"""

import itertools

from llmsh.kernel.sched.policy import Task
from llmsh.kernel.sched.sessions import Sessions

LEVELS = 8
FIRST = 32.0
"""Service of the first level, in tokens; each further level has twice as much."""
_arrivals = itertools.count(1)


def quantum(level: int) -> float:
    """Service of a level, in tokens."""
    return FIRST * float(1 << level)


def level_of(ahead: float) -> int:
    """The first level whose quantum covers so much work; the last for more than any does."""
    return next((level for level in range(LEVELS - 1) if quantum(level) >= ahead), LEVELS - 1)


class Mlfq(Sessions):
    """Levels within a session, first come first served in each; a level waits while one above it has somebody."""

    name = "mlfq"
    yields = False
    strict = True

    def key(self, task: Task) -> tuple[int, float]:
        """By level, then in the order in which they came to it."""
        return (task.level, task.vtime)

    def add(self, task: Task) -> None:
        """See Policy. A task with input to compute is a new job; one without goes on where it was."""
        if task.ahead > 0 or not task.vtime:
            task.level, task.served = level_of(task.ahead), 0.0
            task.ahead = 0.0
        self._arrive(task)
        self.put(task, self.line(task))

    def lag(self, task: Task) -> float:
        """See Policy."""
        return 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy: levels are the same on every core."""
        self.put(task, self.line(task))

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (self.ledger.granted[task.group], float(task.level), task.vtime)

    def charge(self, task: Task, cost: float) -> None:
        """See Policy: demotion by attained service, the sooner the nicer it is."""
        self.grant(task, cost)
        task.served += cost / task.weight
        if task.served < quantum(task.level) or task.level == LEVELS - 1:
            return
        while task.level < LEVELS - 1 and task.served >= quantum(task.level):
            task.served -= quantum(task.level)
            task.level += 1
        self._arrive(task)

    def holds(self, task: Task) -> bool:
        """See Policy: the others of its session have their turns; those of one that had more have not."""
        return len(self.lines[task.group].tasks) == 1

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: whoever is of a lower level than another of its session."""
        return task.group == other.group and task.level < other.level

    def starved(self, task: Task) -> None:
        """See Policy: promotion."""
        task.level, task.served = 0, 0.0
        self._arrive(task)

    def _arrive(self, task: Task) -> None:
        """At the end of its level."""
        task.vtime = float(next(_arrivals))
        line = self.lines.get(task.group)
        if line is not None and task in line.tasks:
            line.tasks.put(task, self.key(task))
