"""Sessions in turn, by what each was granted on all cores of the device; who of a session is next is for a policy
to say that is built on this.

The session whose counter (ledger.py) is lowest is served first. O(log n) a pick.
"""

import itertools
from abc import abstractmethod

from llmsh.kernel.sched.ledger import KEPT, Ledger
from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import FOREGROUND, Policy, Task

SLACK = 32.0
"""Tokens that a task may be ahead of another of its session and still run beside it: steps of few rows, made so that
the last may catch up with the first, are what all pay for."""
_numbers = itertools.count(1)


class Line:
    """The tasks of one session on this core."""

    __slots__ = ("floors", "held", "ident", "parked", "tasks")

    def __init__(self) -> None:
        self.ident = next(_numbers)
        self.tasks: Order[tuple[int, float], Task] = Order()
        self.held: Order[tuple[int, float], Task] = Order()
        """Tasks that are left out for long."""
        self.parked = 0
        """How many are left out, for a plan or for long."""
        self.floors: dict[int, float] = {}
        """By level, if there are any: the counter at which a newcomer begins."""

    @property
    def present(self) -> bool:
        """Whether there is any task, parked or not."""
        return bool(len(self.tasks) or self.parked)


class Sessions(Policy):
    """Fair queueing of tokens over sessions; `key` puts the tasks of one in order, the least first."""

    sessions = True

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger()
        self.ledger.watch(self._moved)
        self.lines: dict[str, Line] = {}
        self._order: Order[float, Line] = Order()
        """Sessions with a task that can run here."""
        self._count = 0
        self._served: Task | None = None
        """In a plan, who comes first and has all the lease it can use."""
        self._many = KEPT
        """So many sessions are looked through for idle ones when there is one more."""

    def __len__(self) -> int:
        return self._count

    @abstractmethod
    def key(self, task: Task) -> tuple[int, float]:
        """A task's place in its session."""

    def line(self, task: Task) -> Line:
        """The line that a task is about to join; its session is there from now on."""
        line = self.lines.get(task.group)
        if line is None:
            line = self.lines[task.group] = Line()
        if not line.present:
            self.ledger.enter(task.group)
        return line

    def put(self, task: Task, line: Line) -> None:
        """Put a task in its place, or in another."""
        self._count += task not in line.tasks
        line.tasks.put(task, self.key(task))
        self._order.put(line, self.ledger.granted[task.group])

    def remove(self, task: Task) -> None:
        """See Policy."""
        if self._take(task) and not self.lines[task.group].present:
            self.ledger.leave(task.group)
            self._forget()

    def pick(self) -> Task | None:
        """See Policy."""
        line = self._order.first()
        return line.tasks.first() if line is not None else None

    def begin(self) -> None:
        """See Policy."""
        self._served = None

    def holds(self, task: Task) -> bool:
        """See Policy: only those who are further ahead, see `waits`."""
        self._served = self._served or task
        return False

    def waits(self, task: Task) -> bool:
        """See Policy: of another session, who had more."""
        first = self._served
        if first is None or first.group == task.group:
            return False
        return self.ledger.granted[first.group] < self.ledger.granted[task.group]

    def behind(self, task: Task) -> bool:
        """See Policy: of the same session, who had much more."""
        first = self._served
        if first is None or first.group != task.group:
            return False
        return first.level == task.level and task.vtime > first.vtime + SLACK

    def lead(self, task: Task, session: str) -> float:
        """See Policy."""
        return self.ledger.used[task.group] - self.ledger.used[session]

    def grant(self, task: Task, cost: float) -> None:
        """Charge a task's session."""
        self.ledger.grant(task.group, cost / (FOREGROUND if task.foreground else 1.0))

    def park(self, task: Task, session: bool = False) -> None:
        """See Policy: out of the order, its session's counter untouched."""
        if session:
            self._order.drop(self.lines[task.group])
        else:
            self.lines[task.group].parked += self._take(task)

    def hold(self, task: Task) -> None:
        """See Policy."""
        self.park(task)
        self.lines[task.group].held.put(task, self.key(task))

    def unpark(self, task: Task) -> None:
        """See Policy."""
        line = self.lines[task.group]
        line.held.drop(task)
        line.parked -= task not in line.tasks
        self.put(task, line)

    def _moved(self, session: str) -> None:
        line = self.lines.get(session)
        if line is not None and line in self._order:
            self._order.put(line, self.ledger.granted[session])

    def _take(self, task: Task) -> bool:
        line = self.lines.get(task.group)
        if line is None or task not in line.tasks:
            return False
        self._count -= 1
        line.tasks.drop(task)
        if not len(line.tasks):
            self._order.drop(line)
        return True

    def _forget(self) -> None:
        """Looked for when their number has doubled, so that it costs the same for any number."""
        if len(self.lines) > self._many:
            known = self.ledger.granted.accounts
            self.lines = {name: line for name, line in self.lines.items() if line.present or name in known}
            self._many = KEPT + 2 * len(self.lines)
