"""Tasks by a key, the least first. A task's key may change; a change and a look cost O(log n)."""

import heapq
from typing import Generic, TypeVar

from llmsh.kernel.sched.policy import Task

K = TypeVar("K", float, tuple[int, float])


class Order(Generic[K]):
    """A heap in which what was moved or taken out stays until it comes up."""

    def __init__(self) -> None:
        self._heap: list[tuple[K, int, Task]] = []
        self._tasks: dict[int, int] = {}
        """A task's identity to the stamp of its entry that counts."""
        self._stamps = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task: Task) -> bool:
        return task.ident in self._tasks

    def put(self, task: Task, key: K) -> None:
        """Put a task in, or where its new key belongs; equal keys keep the order in which they came."""
        self._stamps += 1
        self._tasks[task.ident] = self._stamps
        heapq.heappush(self._heap, (key, self._stamps, task))

    def drop(self, task: Task) -> None:
        """Take a task out, if it is in."""
        self._tasks.pop(task.ident, None)

    def first(self) -> Task | None:
        """The task with the least key."""
        heap = self._heap
        while heap and self._tasks.get(heap[0][2].ident) != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][2] if heap else None
