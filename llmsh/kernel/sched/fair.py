"""Fair shares: sessions first, then processes by nice. Source: Sheng et al., "Fairness in Serving
Large Language Models" (OSDI 2024), the virtual token counter; weights as in sched(7).

Every session has a counter of the service it was granted on all cores of the device (ledger.py), and every task
one within its session on its core, divided by its weight; whoever is lowest is next. A task that joins or wakes
starts at the minimum of those that are there, a session a little (K) below, so neither sleeping nor respawning
earns more. O(log n) a pick.

The bound. Let W be the service that a session received in some time (tokens made, and c for each
token of input that was computed), w its weight (8 in the foreground, else 1), q the quantum, s the seats
of all cores and L the longest input. If two sessions i and j are backlogged all that time, that is, each
always has, on each core, a task that a lease could be granted to, then

    | Wi / wi - Wj / wj |  <=  2 max over k in {i, j} of ((2 s + 1) q + s c L) / wk

since, for counters v: i is granted a lease only while vi <= vj. That lease adds q / wi at most, and what
was granted before adds later at most the inputs of s leases, s c L / wi. Against that vj falls only by what
is given back of leases that ended early, s q / wj at most. So vi - vj is never above (q + s c L) / wi +
s q / wj, nor, by the same words, below the negative of this with i and j exchanged; within the time it
changes by no more than the sum of the two. Service is what was granted less what is still out, which is
between 0 and s q: twice s q / w more. The paper's 2 max(wp Linput, wq M) is the case of one token at a time
(q = 1, nothing out) with M the batch. Two tasks of one session are as two sessions with s = 1.

It holds while cells suffice for both; a first place for who waited too long, or before the time of a foreground,
is not in it. A session with tasks on some cores only is the first on these while it is behind: beside one process,
a flood has the other cores.
"""

import itertools

from llmsh.kernel.sched.ledger import KEPT, Ledger
from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import FOREGROUND, Task

_numbers = itertools.count(1)


class _Line:
    """The tasks of one session on this core."""

    __slots__ = ("floor", "ident", "parked", "tasks")

    def __init__(self) -> None:
        self.ident = next(_numbers)
        self.tasks: Order[float, Task] = Order()
        self.parked = 0
        """Tasks that are left out for a while."""
        self.floor = 0.0
        """The least counter of its tasks, as far as it was ever known: where a newcomer begins."""

    @property
    def present(self) -> bool:
        """Whether there is any task, parked or not."""
        return bool(len(self.tasks) or self.parked)


class Fair:
    """Weighted fair queueing of tokens over sessions and their tasks."""

    name = "fair"
    sessions = True
    yields = False

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger()
        self.ledger.watch(self._moved)
        self._lines: dict[str, _Line] = {}
        self._order: Order[float, _Line] = Order()
        """Sessions with a task that can run here."""
        self._count = 0
        self._many = KEPT
        """So many sessions are looked through for idle ones when there is one more."""

    def __len__(self) -> int:
        return self._count

    def add(self, task: Task) -> None:
        """See Policy. The task's counter is raised to the minimum of those that are there."""
        line = self._lines.get(task.group)
        if line is None:
            line = self._lines[task.group] = _Line()
        if not line.present:
            self.ledger.enter(task.group)
        self._raise(line)
        task.vtime = max(task.vtime, line.floor)
        self._insert(task, line)

    def remove(self, task: Task) -> None:
        """See Policy."""
        if self._take(task) and not self._lines[task.group].present:
            self.ledger.leave(task.group)
            self._forget()

    def lag(self, task: Task) -> float:
        """See Policy."""
        line = self._lines.get(task.group)
        return max(0.0, task.vtime - line.floor) if line is not None else 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy: tasks' counters of two cores have nothing in common but their differences."""
        task.vtime = 0.0
        self.add(task)
        if lag:
            task.vtime += lag
            self._lines[task.group].tasks.put(task, task.vtime)

    def pick(self) -> Task | None:
        """See Policy."""
        line = self._order.first()
        return line.tasks.first() if line is not None else None

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (self.ledger.granted[task.group], task.vtime)

    def lead(self, task: Task, session: str) -> float:
        """See Policy."""
        return self.ledger.used[task.group] - self.ledger.used[session]

    def charge(self, task: Task, cost: float) -> None:
        """See Policy."""
        task.vtime += cost / task.weight
        line = self._lines.get(task.group)
        if line is not None:
            if task in line.tasks:
                line.tasks.put(task, task.vtime)
            self._raise(line)
        self.ledger.grant(task.group, cost / (FOREGROUND if task.foreground else 1.0))

    def _moved(self, session: str) -> None:
        line = self._lines.get(session)
        if line is not None and line in self._order:
            self._order.put(line, self.ledger.granted[session])

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: nobody: who is behind is next when a lease ends."""
        return False

    def starved(self, task: Task) -> None:
        """See Policy: that token is all it gets."""

    def park(self, task: Task, session: bool = False) -> None:
        """See Policy: out of the order, its session's counter untouched."""
        if session:
            self._order.drop(self._lines[task.group])
        else:
            self._lines[task.group].parked += self._take(task)

    def unpark(self, task: Task) -> None:
        """See Policy."""
        line = self._lines[task.group]
        line.parked -= task not in line.tasks
        self._insert(task, line)

    def _insert(self, task: Task, line: _Line) -> None:
        self._count += task not in line.tasks
        line.tasks.put(task, task.vtime)
        self._order.put(line, self.ledger.granted[task.group])

    def _take(self, task: Task) -> bool:
        line = self._lines.get(task.group)
        if line is None or task not in line.tasks:
            return False
        self._count -= 1
        line.tasks.drop(task)
        if not len(line.tasks):
            self._order.drop(line)
        return True

    def _raise(self, line: _Line) -> None:
        """The least counter that there is: newcomers begin there."""
        task = line.tasks.first()
        if task is not None:
            line.floor = max(line.floor, task.vtime)

    def _forget(self) -> None:
        """Looked for when their number has doubled, so that it costs the same for any number."""
        if len(self._lines) > self._many:
            known = self.ledger.granted.accounts
            self._lines = {name: line for name, line in self._lines.items() if line.present or name in known}
            self._many = KEPT + 2 * len(self._lines)
