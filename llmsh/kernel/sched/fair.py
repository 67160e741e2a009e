"""Fair shares: sessions first, then processes by nice. Source: Sheng et al., "Fairness in Serving
Large Language Models" (OSDI 2024), the virtual token counter; weights as in sched(7).

Every session has a counter of the service it was granted and every task one within its session,
divided by its weight; whoever is lowest is next. A session or task that joins or wakes starts at the
minimum of those that are there, so neither sleeping nor respawning earns credit. O(log n) a pick.

The bound. Let W be the service that a session received on a core in some time (tokens made, and c for each
token of input that was computed), w its weight (8 in the foreground, else 1), q the quantum, s the seats
of the core and L the longest input. If two sessions i and j are backlogged all that time, that is, each
always has a task that a lease could be granted to, then

    | Wi / wi - Wj / wj |  <=  2 max over k in {i, j} of ((2 s + 1) q + s c L) / wk

since, for counters v: i is granted a lease only while vi <= vj. That lease adds q / wi at most, and what
was granted before adds later at most the inputs of s leases, s c L / wi. Against that vj falls only by what
is given back of leases that ended early, s q / wj at most. So vi - vj is never above (q + s c L) / wi +
s q / wj, nor, by the same words, below the negative of this with i and j exchanged; within the time it
changes by no more than the sum of the two. Service is what was granted less what is still out, which is
between 0 and s q: twice s q / w more. The paper's 2 max(wp Linput, wq M) is the case of one token at a time
(q = 1, nothing out) with M the batch. Two tasks of one session are as two sessions with s = 1.

It holds on each core for itself, while cells suffice for both; a first place for who waited too long, or
before the time of a foreground, is not in it.
"""

import itertools

from llmsh.kernel.sched.order import Order
from llmsh.kernel.sched.policy import FOREGROUND, Task

KEPT = 64
"""Idle sessions that are remembered in any case."""
_groups = itertools.count(1)


class _Group:
    """One session: its own counter and its runnable tasks."""

    __slots__ = ("floor", "ident", "tasks", "vtime")

    def __init__(self) -> None:
        self.ident = next(_groups)
        self.vtime = 0.0
        self.floor = 0.0
        """The least counter of its tasks, as far as it was ever known: where a newcomer begins."""
        self.tasks: Order[float, Task] = Order()


class Fair:
    """Weighted fair queueing of tokens over sessions and their tasks."""

    name = "fair"
    yields = False

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._order: Order[float, _Group] = Order()
        """Sessions with a task that can run."""
        self._count = 0
        self._floor = 0.0
        self._many = KEPT
        """So many sessions are looked through for idle ones when there is one more."""

    def __len__(self) -> int:
        return self._count

    def add(self, task: Task) -> None:
        """See Policy. The counters are raised to the minimum of those that are there."""
        group = self._groups.get(task.group)
        if group is None:
            group = self._groups[task.group] = _Group()
        if not len(group.tasks):
            group.vtime = max(group.vtime, self._floor)
        self._raise(group)
        task.vtime = max(task.vtime, group.floor)
        self._insert(task, group)

    def remove(self, task: Task) -> None:
        """See Policy."""
        if self._take(task):
            self._forget()

    def lag(self, task: Task) -> float:
        """See Policy."""
        group = self._groups.get(task.group)
        return max(0.0, task.vtime - group.floor) if group is not None else 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy: counters of two cores have nothing in common but their differences."""
        task.vtime = 0.0
        self.add(task)
        if lag:
            task.vtime += lag
            self._groups[task.group].tasks.put(task, task.vtime)

    def pick(self) -> Task | None:
        """See Policy."""
        group = self._order.first()
        return group.tasks.first() if group is not None else None

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        group = self._groups.get(task.group)
        return (group.vtime if group is not None else 0.0, task.vtime)

    def charge(self, task: Task, cost: float) -> None:
        """See Policy."""
        task.vtime += cost / task.weight
        group = self._groups.get(task.group)
        if group is None:
            return
        group.vtime += cost / (FOREGROUND if task.foreground else 1.0)
        if task in group.tasks:
            group.tasks.put(task, task.vtime)
        if len(group.tasks):
            self._order.put(group, group.vtime)
            self._raise(group)

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: nobody: who is behind is next when a lease ends."""
        return False

    def starved(self, task: Task) -> None:
        """See Policy: its quantum is all it gets."""

    def park(self, task: Task) -> None:
        """See Policy: out of the order, its group's counter untouched."""
        self._take(task)

    def unpark(self, task: Task) -> None:
        """See Policy."""
        self._insert(task, self._groups[task.group])

    def _insert(self, task: Task, group: _Group) -> None:
        self._count += task not in group.tasks
        group.tasks.put(task, task.vtime)
        self._order.put(group, group.vtime)

    def _take(self, task: Task) -> bool:
        group = self._groups.get(task.group)
        if group is None or task not in group.tasks:
            return False
        self._count -= 1
        group.tasks.drop(task)
        if not len(group.tasks):
            self._order.drop(group)
        return True

    def _raise(self, group: _Group) -> None:
        """The least counters that there are: newcomers begin there."""
        task, lowest = group.tasks.first(), self._order.first()
        if task is not None:
            group.floor = max(group.floor, task.vtime)
        if lowest is not None:
            self._floor = max(self._floor, lowest.vtime)

    def _forget(self) -> None:
        """Sessions that are idle and not ahead of the floor carry no information: forget them. Looked for
        when their number has doubled, so that it costs the same for any number."""
        if len(self._groups) <= self._many:
            return
        idle = [name for name, group in self._groups.items() if not len(group.tasks) and group.vtime <= self._floor]
        for name in idle:
            del self._groups[name]
        self._many = KEPT + 2 * len(self._groups)
