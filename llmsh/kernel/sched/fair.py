"""Fair shares: sessions first, then processes by nice. Source: Sheng et al., "Fairness in Serving
Large Language Models" (OSDI 2024), the virtual token counter; weights as in sched(7).

Every session has a counter of the service it was granted and every task one within its session,
divided by its weight; whoever is lowest is next. Service of two sessions that are both backlogged
never differs by more than two quanta and the input of one prompt. A session or task that joins or
wakes starts at the minimum of those that are there, so neither sleeping nor respawning earns
credit. O(log n) a pick.
"""

import heapq

from llmsh.kernel.sched.policy import FOREGROUND, Task


class _Group:
    """One session: its own counter and a heap of its runnable tasks."""

    __slots__ = ("floor", "heap", "name", "size", "stamp", "vtime")

    def __init__(self, name: str) -> None:
        self.name = name
        self.vtime = 0.0
        self.floor = 0.0
        self.size = 0
        self.stamp = 0
        self.heap: list[tuple[float, int, int, Task]] = []

    def push(self, task: Task) -> None:
        task.stamp += 1
        heapq.heappush(self.heap, (task.vtime, task.ident, task.stamp, task))

    def first(self) -> Task | None:
        while self.heap and self.heap[0][2] != self.heap[0][3].stamp:
            heapq.heappop(self.heap)
        return self.heap[0][3] if self.heap else None


class Fair:
    """Weighted fair queueing of tokens over sessions and their tasks."""

    name = "fair"
    yields = False

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._tasks: set[Task] = set()
        self._floor = 0.0
        self._stamps = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task) -> None:
        """See Policy. The counters are raised to the minimum of those that are there."""
        group = self._groups.get(task.group)
        if group is None:
            group = self._groups[task.group] = _Group(task.group)
        if not group.size:
            group.vtime = max(group.vtime, self._floor)
        first = group.first()
        group.floor = max(group.floor, first.vtime) if first else group.floor
        task.vtime = max(task.vtime, group.floor)
        self._insert(task, group)

    def remove(self, task: Task) -> None:
        """See Policy."""
        if task not in self._tasks:
            return
        self._tasks.discard(task)
        task.stamp += 1
        group = self._groups[task.group]
        group.size -= 1
        if not group.size:
            group.stamp = 0
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
            self.park(task)
            task.vtime += lag
            self.unpark(task)

    def pick(self) -> Task | None:
        """See Policy."""
        while self._heap:
            _, stamp, name = self._heap[0]
            group = self._groups.get(name)
            if group is None or group.stamp != stamp:
                heapq.heappop(self._heap)
                continue
            task = group.first()
            if task is not None:
                return task
            heapq.heappop(self._heap)
        return None

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
        if group.size:
            self._raise_floor(group)
            self._push(group)
        if task in self._tasks:
            group.push(task)

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: nobody: who is behind is next when a lease ends."""
        return False

    def starved(self, task: Task) -> None:
        """See Policy: its quantum is all it gets."""

    def park(self, task: Task) -> None:
        """See Policy: out of the heaps, its group's counter untouched."""
        if task in self._tasks:
            self._tasks.discard(task)
            task.stamp += 1
            self._groups[task.group].size -= 1

    def unpark(self, task: Task) -> None:
        """See Policy."""
        self._insert(task, self._groups[task.group])

    def _insert(self, task: Task, group: _Group) -> None:
        self._tasks.add(task)
        group.size += 1
        group.push(task)
        self._push(group)

    def _push(self, group: _Group) -> None:
        self._stamps += 1
        group.stamp = self._stamps
        heapq.heappush(self._heap, (group.vtime, group.stamp, group.name))

    def _raise_floor(self, group: _Group) -> None:
        first = group.first()
        if first is not None:
            group.floor = max(group.floor, first.vtime)
        self._floor = max(self._floor, min(group.vtime, self._lowest()))

    def _lowest(self) -> float:
        task = self.pick()
        return self._groups[task.group].vtime if task is not None else 0.0

    def _forget(self) -> None:
        """Sessions that are idle and not ahead of the floor carry no information: forget them."""
        if len(self._groups) > 64 + 2 * len(self._tasks):
            idle = [name for name, group in self._groups.items() if not group.size and group.vtime <= self._floor]
            for name in idle:
                del self._groups[name]
