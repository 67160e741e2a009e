"""First come, first served: who became a process first runs until it blocks or ends."""

import heapq
import itertools

from llmsh.kernel.sched.policy import Task

_arrivals = itertools.count(1)
"""One count for all queues: a task that moves between two keeps its place among the others."""


class Fcfs:
    """Order of arrival; a task keeps its place when it blocks and wakes."""

    name = "fcfs"
    yields = True

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Task]] = []
        self._tasks: set[Task] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task) -> None:
        """See Policy."""
        if not task.arrival:
            task.arrival = next(_arrivals)
        self._tasks.add(task)
        self._push(task)

    def remove(self, task: Task) -> None:
        """See Policy."""
        self._tasks.discard(task)
        task.stamp += 1

    def lag(self, task: Task) -> float:
        """Places are global: a task keeps its own wherever it goes."""
        return 0.0

    def join(self, task: Task, lag: float) -> None:
        """See Policy."""
        self.add(task)

    def pick(self) -> Task | None:
        """See Policy."""
        while self._heap and self._heap[0][1] != self._heap[0][2].stamp:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def rank(self, task: Task) -> tuple[float, ...]:
        """See Policy."""
        return (float(task.arrival),)

    def charge(self, task: Task, cost: float) -> None:
        """Service changes no place in this queue."""

    def preempts(self, task: Task, other: Task) -> bool:
        """See Policy: nobody: who came first runs until it blocks."""
        return False

    def starved(self, task: Task) -> None:
        """See Policy: its quantum is all it gets."""

    def park(self, task: Task) -> None:
        """See Policy."""
        self.remove(task)

    def unpark(self, task: Task) -> None:
        """See Policy."""
        self.add(task)

    def _push(self, task: Task) -> None:
        task.stamp += 1
        heapq.heappush(self._heap, (task.arrival, task.stamp, task))
