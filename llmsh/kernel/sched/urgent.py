"""Those who come before everybody: a person who has just typed, then who has waited too long, in the order in which
that happened to them.

A place is of the moment and not of the process: whoever falls due again goes behind all who wait already, so a
round of all of them ends, however many there are. Persons take turns. What tokens cost is the policy's, as ever.
"""

import itertools

from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import Policy, Task

_moments = itertools.count(1)
"""One count for all cores: a task that moves keeps its place among the others."""


class Urgent(Policy):
    """An order over tasks with a boost; see Policy."""

    name = "urgent"
    yields = True

    def __init__(self) -> None:
        self._persons: Order[float, Task] = Order()
        self._waiting: Order[float, Task] = Order()

    def __len__(self) -> int:
        return len(self._persons) + len(self._waiting)

    def add(self, task: Task) -> None:
        """See Policy. It keeps the place that it has until its boost is over."""
        if not task.urgent:
            task.urgent = next(_moments)
        (self._persons if task.foreground else self._waiting).put(task, float(task.urgent))

    def remove(self, task: Task) -> None:
        """See Policy."""
        self._persons.drop(task)
        self._waiting.drop(task)

    def pick(self) -> Task | None:
        """See Policy."""
        return self._persons.first() or self._waiting.first()

    def overdue(self) -> Task | None:
        """Who of the background has waited longest."""
        return self._waiting.first()

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (float(task.urgent),)

    def charge(self, task: Task, cost: float) -> None:
        """See Policy: a person's first tokens come a lease at a time, so that others who type wait for no more."""
        if cost > 0 and task in self._persons:
            task.urgent = next(_moments)
            self._persons.put(task, float(task.urgent))
