"""First come, first served: who became a process first runs until it blocks or ends. Source: the batch
systems before time sharing; Conway, Maxwell and Miller, "Theory of Scheduling" (1967), chapter 8.

A long job holds up all behind it (the convoy); nobody's service is ever interrupted. Nice values mean
nothing.
"""

import itertools

from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import Policy, Task

_arrivals = itertools.count(1)
"""One count for all queues: a task that moves between two keeps its place among the others."""


class Fcfs(Policy):
    """Order of arrival; a task keeps its place when it blocks and wakes. Nobody preempts: who came first runs."""

    name = "fcfs"
    yields = True

    def __init__(self) -> None:
        self._order: Order[float, Task] = Order()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, task: Task) -> None:
        """See Policy."""
        if not task.arrival:
            task.arrival = next(_arrivals)
        self._order.put(task, float(task.arrival))

    def remove(self, task: Task) -> None:
        """See Policy."""
        self._order.drop(task)

    def pick(self) -> Task | None:
        """See Policy."""
        return self._order.first()

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (float(task.arrival),)

    def charge(self, task: Task, cost: float) -> None:
        """Service changes no place in this queue."""
