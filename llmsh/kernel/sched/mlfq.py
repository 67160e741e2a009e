"""A multi-level feedback queue that skips levels by the length of the prompt. Source: Wu et al., "Fast
Distributed Inference Serving for Large Language Models" (FastServe, NSDI 2026).

How long an answer will be is not known, but the prompt is: a task joins at the first level whose
quantum covers its prefill, so that a long prompt does not hold up short ones on its way down. Who has
used up a level's quantum sinks by one; who has starved comes back to the first.
"""

import itertools

from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import FOREGROUND, Task

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


class Mlfq:
    """Levels, first come first served in each; a level waits while one above it has somebody."""

    name = "mlfq"
    sessions = False
    yields = True

    def __init__(self) -> None:
        self._order: Order[tuple[int, float], Task] = Order()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, task: Task) -> None:
        """See Policy. A task with input to compute is a new job; one without goes on where it was."""
        if task.ahead > 0 or not task.vtime:
            task.level, task.served = level_of(task.ahead), 0.0
            task.ahead = 0.0
        self._enter(task)

    def remove(self, task: Task) -> None:
        """See Policy."""
        self._order.drop(task)

    def lag(self, task: Task) -> float:
        """See Policy."""
        return 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy: levels are the same on every core."""
        self._put(task)

    def pick(self) -> Task | None:
        """See Policy."""
        return self._order.first()

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (float(task.level), task.vtime)

    def lead(self, task: Task, session: str) -> float:
        """See Policy."""
        return 0.0

    def charge(self, task: Task, cost: float) -> None:
        """See Policy: demotion by attained service."""
        task.served += cost
        scale = FOREGROUND if task.foreground else 1.0
        if task.served < quantum(task.level) * scale or task.level == LEVELS - 1:
            return
        while task.level < LEVELS - 1 and task.served >= quantum(task.level) * scale:
            task.served -= quantum(task.level) * scale
            task.level += 1
        if task in self._order:
            self._enter(task)

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: whoever is of a lower level."""
        return task.level < other.level

    def starved(self, task: Task) -> None:
        """See Policy: promotion."""
        task.level, task.served = 0, 0.0
        if task in self._order:
            self._enter(task)

    def park(self, task: Task, session: bool = False) -> None:
        """See Policy."""
        self._order.drop(task)

    def unpark(self, task: Task) -> None:
        """See Policy."""
        self._put(task)

    def _enter(self, task: Task) -> None:
        """At the end of its level."""
        task.vtime = float(next(_arrivals))
        self._put(task)

    def _put(self, task: Task) -> None:
        self._order.put(task, (task.level, task.vtime))
