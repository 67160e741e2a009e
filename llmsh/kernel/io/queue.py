"""In which order the swap file is read and written: a queue of requests, and what goes into one call.

`none`: as they come, one a call. `elevator`: those that are waited for (reads) first, but not for ever, by offset in
one direction, and what lies side by side in one call. It reads nothing itself.
Source: C-LOOK, and merging as in Linux's block layer (mq-deadline).
"""

from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple, Protocol

MERGED_MAX = 32
"""Requests of one call."""
STARVED = 2
"""Calls that read, one after the other, while somebody waits to be written: until then its image is in memory."""
MERGED_BYTES = 64 << 20
"""Bytes of a call of several: who is waited for now waits for the one under way."""


class Request(NamedTuple):
    """The image of a sequence, to or from the file."""

    offset: int
    size: int
    q: int
    write: bool

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.offset + self.size


class Queue(Protocol):
    """Requests that wait for the disk."""

    def __len__(self) -> int:
        """How many."""

    def add(self, request: Request) -> None:
        """One more."""

    def remove(self, request: Request) -> None:
        """It is called off."""

    def next(self) -> list[Request]:
        """What the next call does: one or more that lie side by side, all reads or all writes."""


class Fifo:
    """`none`: as they come."""

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: Request) -> None:
        """See Queue."""
        self._waiting.append(request)

    def remove(self, request: Request) -> None:
        """See Queue."""
        self._waiting.remove(request)

    def next(self) -> list[Request]:
        """See Queue."""
        return [self._waiting.popleft()]


class Elevator:
    """`elevator`: by offset, upwards, and from the bottom again."""

    def __init__(self) -> None:
        self._reads: list[Request] = []
        self._writes: list[Request] = []
        self._head = 0
        self._read = 0
        """Calls that have read since one wrote, or none waited to be written."""

    def __len__(self) -> int:
        return len(self._reads) + len(self._writes)

    def add(self, request: Request) -> None:
        """See Queue."""
        insort(self._of(request), request)

    def remove(self, request: Request) -> None:
        """See Queue."""
        waiting = self._of(request)
        at = bisect_left(waiting, request)
        assert waiting[at] == request, "it does not wait"  # a bug of the kernel
        del waiting[at]

    def _of(self, request: Request) -> list[Request]:
        return self._writes if request.write else self._reads

    def next(self) -> list[Request]:
        """See Queue."""
        starved = bool(self._writes) and self._read >= STARVED
        waiting = self._reads if self._reads and not starved else self._writes
        self._read = self._read + 1 if waiting is self._reads and self._writes else 0
        at = bisect_left(waiting, (self._head,))
        at = at if at < len(waiting) else 0
        end = at + 1
        while end < len(waiting) and end - at < MERGED_MAX and waiting[end].offset == waiting[end - 1].end:
            if waiting[end].end - waiting[at].offset > MERGED_BYTES:
                break
            end += 1
        call = waiting[at:end]
        del waiting[at:end]
        self._head = call[-1].end
        return call


QUEUES: dict[str, type[Fifo] | type[Elevator]] = {"none": Fifo, "elevator": Elevator}
