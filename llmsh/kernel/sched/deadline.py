"""Earliest deadline first, then the greatest value for the work that is left. Source: Liu and Layland,
"Scheduling Algorithms for Multiprogramming in a Hard-Real-Time Environment" (Journal of the ACM 20, 1973);
value by work is Smith's rule, "Various optimizers for single-stage production" (Naval Research Logistics
Quarterly 3, 1956).

Whose goal comes first runs alone on its core until it blocks or ends: a goal is met by being first, and a
batch shares. Then come those with a value, then those that are late, then those without a goal, who share
as under `fair`. Who may state a deadline at all is goals.py's.
"""

from math import inf

from llmsh.kernel.sched.fair import Fair
from llmsh.kernel.sched.ledger import Ledger
from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import Goal, Policy, Task

IN_TIME, WORTH, LATE, NO_GOAL = range(4)


def key(goal: Goal) -> tuple[int, float]:
    """Sorts goals: the least is first."""
    if goal.late:
        return LATE, goal.due
    if goal.due < inf:
        return IN_TIME, goal.due
    return WORTH, -goal.value / goal.work


class Deadline(Policy):
    """Tasks with goals in the order of these; the others behind them, in fair shares."""

    name = "deadline"

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._goals: Order[tuple[int, float], Task] = Order()
        self._rest = Fair(ledger)

    def __len__(self) -> int:
        return len(self._goals) + len(self._rest)

    def add(self, task: Task) -> None:
        """See Policy."""
        if task.goal is not None:
            self._goals.put(task, key(task.goal))
        else:
            self._rest.add(task)

    def remove(self, task: Task) -> None:
        """See Policy."""
        self._goals.drop(task)
        self._rest.remove(task)

    def lag(self, task: Task) -> float:
        """See Policy: deadlines are the same on every core."""
        return self._rest.lag(task) if task.goal is None else 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy."""
        if task.goal is not None:
            self.add(task)
        else:
            self._rest.join(task, lag)

    def pick(self) -> Task | None:
        """See Policy."""
        return self._goals.first() or self._rest.pick()

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return key(task.goal) if task.goal is not None else (NO_GOAL, *self._rest.rank(task))

    def charge(self, task: Task, cost: float) -> None:
        """See Policy. Less work is left of it, so its value weighs more; a deadline stays where it is."""
        if task.goal is None:
            self._rest.charge(task, cost)
        elif task in self._goals and task.goal.value:
            self._goals.put(task, key(task.goal))

    def holds(self, task: Task) -> bool:
        """See Policy: its turn comes first."""
        return True

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: whose goal comes first."""
        return task.goal is not None and self.rank(task) < self.rank(other)

    def park(self, task: Task, session: bool = False) -> None:
        """See Policy."""
        if task.goal is not None:
            self._goals.drop(task)
        else:
            self._rest.park(task)

    def hold(self, task: Task) -> None:
        """See Policy."""
        if task.goal is not None:
            self._goals.drop(task)
        else:
            self._rest.hold(task)

    def unpark(self, task: Task) -> None:
        """See Policy."""
        if task.goal is not None:
            self._goals.put(task, key(task.goal))
        else:
            self._rest.unpark(task)
