"""Tasks, or groups of them, by a key, the least first. A key may change; a change and a look cost O(log n)."""

import heapq
from typing import Generic, Protocol, TypeVar

SPARE = 64
"""Entries that count no more are swept out when they are as many as those that do, and so many."""


class Numbered(Protocol):
    """What can be put in order: two are the same when their numbers are."""

    ident: int


K = TypeVar("K", float, tuple[int, float])
T = TypeVar("T", bound=Numbered)


class Order(Generic[K, T]):
    """A heap in which what was moved or taken out stays until it comes up, or there is too much of it."""

    def __init__(self) -> None:
        self._heap: list[tuple[K, int, T]] = []
        self._stamp: dict[int, int] = {}
        """A thing's number to the stamp of its entry that counts."""
        self._stamps = 0

    def __len__(self) -> int:
        return len(self._stamp)

    def __contains__(self, thing: T) -> bool:
        return thing.ident in self._stamp

    def put(self, thing: T, key: K) -> None:
        """Put something in, or where its new key belongs; equal keys keep the order in which they came."""
        self._stamps += 1
        self._stamp[thing.ident] = self._stamps
        heapq.heappush(self._heap, (key, self._stamps, thing))
        if len(self._heap) > SPARE + 2 * len(self._stamp):
            self._heap = [each for each in self._heap if self._stamp.get(each[2].ident) == each[1]]
            heapq.heapify(self._heap)

    def drop(self, thing: T) -> None:
        """Take it out, if it is in."""
        self._stamp.pop(thing.ident, None)

    def first(self) -> T | None:
        """The one with the least key."""
        heap = self._heap
        while heap and self._stamp.get(heap[0][2].ident) != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][2] if heap else None
