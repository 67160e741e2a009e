"""Round robin: everybody in turn, a quantum each. Source: Kleinrock, "Analysis of a time-shared
processor", Naval Research Logistics Quarterly 11 (1964).

Nice values mean nothing here; the foreground's turns are longer.
"""

import itertools

from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import FOREGROUND, Policy, Task

FOREGROUND_TURN = 16.0 * FOREGROUND
"""Service of one turn of a task in the foreground, in tokens; anybody else's is a lease."""
_turns = itertools.count(1)
"""One count for all cores: a task that moves keeps its place among the others."""


class Rr(Policy):
    """A queue; who has had its turn goes to the end. Nobody preempts: a turn is a turn."""

    name = "rr"

    def __init__(self) -> None:
        self._order: Order[float, Task] = Order()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, task: Task) -> None:
        """See Policy: at the end."""
        task.vtime, task.served = float(next(_turns)), 0.0
        self._order.put(task, task.vtime)

    def remove(self, task: Task) -> None:
        """See Policy."""
        self._order.drop(task)

    def join(self, task: Task, lag: float) -> None:
        """See Policy: it keeps its turn."""
        self._order.put(task, task.vtime)

    def pick(self) -> Task | None:
        """See Policy."""
        return self._order.first()

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (task.vtime,)

    def charge(self, task: Task, cost: float) -> None:
        """See Policy. What was given back is no service: the turn is over all the same."""
        task.served += max(0.0, cost)
        if cost > 0 and (not task.foreground or task.served >= FOREGROUND_TURN):
            task.vtime, task.served = float(next(_turns)), 0.0
            if task in self._order:
                self._order.put(task, task.vtime)

    def holds(self, task: Task) -> bool:
        """See Policy: its turn is not over."""
        return True

    def unpark(self, task: Task) -> None:
        """See Policy."""
        self._order.put(task, task.vtime)
