"""A descriptor of ours that agents' bytes go out through, in pieces that do not block.

A pipe that polls writable takes PIPE_BUF bytes at once, so that is the largest piece; what waits here
is bounded by what the kernel lets an agent have outstanding. It knows no connection.
"""

import os

from llmsh.abi.light import deque
from llmsh.lib.term import Screen

_PIECE = 4096


class Outlet:
    """Bytes on their way to descriptor `fd`, with whose they are, so that each can be told (ack).

    `beside` is an outlet that may lead to the same terminal. There its bytes come first, and what
    comes here begins on a new line where that one stopped within a line.
    """

    def __init__(self, fd: int, beside: "Outlet | None" = None) -> None:
        self.fd = fd
        self.closed = False
        self.midline = False
        """What was written last ended within a line."""
        self._screen = Screen() if os.isatty(fd) else None
        self._beside = beside if beside is not None and self._screen and _same(fd, beside.fd) else None
        self._queue: deque[tuple[int, int, memoryview]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._queue)

    @property
    def ready(self) -> bool:
        """Whether they may be written now."""
        return self.waiting and not (self._beside is not None and self._beside.waiting)

    def put(self, pid: int, data: bytes) -> None:
        """Queue a process's bytes."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            shown = self._screen.feed(piece) if self._screen else piece
            self._queue.append((pid, len(piece), memoryview(shown)))

    def write(self) -> list[tuple[int, int]]:
        """Write one piece or a part of one; (pid, bytes) that are now written on. Raises OSError."""
        pid, size, view = self._queue[0]
        if self._beside is not None and self._beside.midline:
            self._beside.midline = False
            view = memoryview(b"\n" + view)
            self._queue[0] = (pid, size, view)
        try:
            n = os.write(self.fd, view[:_PIECE])
        except BlockingIOError:  # somebody else made it non-blocking
            return []
        self.midline = view[n - 1] != ord("\n") if n else self.midline
        if n < len(view):
            self._queue[0] = (pid, size, view[n:])
            return []
        self._queue.popleft()
        return [(pid, size)]

    def fresh(self) -> None:
        """Begin a new line for what somebody else says on this terminal. Never raises."""
        if self._beside is not None and self._beside.midline:
            self._beside.midline = False
            try:
                os.write(self.fd, b"\n")
            except OSError:
                return

    def end(self, pid: int) -> None:
        """A process ended: half a character that waits for its other half goes out as it is."""
        rest = self._screen.feed(b"", final=True) if self._screen and not self.closed else b""
        if rest:
            self._queue.append((pid, 0, memoryview(rest)))

    def close(self) -> list[tuple[int, int]]:
        """Nothing more can be written; (pid, bytes) that are dropped."""
        self.closed = True
        dropped = [(pid, size) for pid, size, _ in self._queue]
        self._queue.clear()
        return dropped


def _same(one: int, other: int) -> bool:
    """Whether two descriptors lead to one terminal."""
    return os.path.samestat(os.fstat(one), os.fstat(other))
