"""Descriptors: what a process reads from and writes to. Null, a pipe, a client, a log.

Every one is a Pipe (bounded bytes, back-pressure) with somebody at its far end; it knows no process
and no policy.
"""

from collections.abc import Callable

from llmsh.kernel.pipe import Pipe


class File:
    """One descriptor. `kind` is null, pipe, client or log."""

    __slots__ = ("closed", "kind", "on_read", "pipe", "writes")

    def __init__(self, kind: str, pipe: Pipe | None, writes: bool) -> None:
        self.kind = kind
        self.pipe = pipe
        self.writes = writes
        self.closed = False
        self.on_read: Callable[[int], None] | None = None
        """Asks the far end for bytes (a client's input is read only when wanted)."""

    @property
    def room(self) -> int | None:
        """Bytes that may be written now; None is any number."""
        return self.pipe.room if self.pipe is not None and self.writes else None

    def write(self, data: bytes) -> None:
        """Write; the caller has looked at `room`."""
        if self.pipe is not None and not self.closed:
            self.pipe.write(data)

    @property
    def gone(self) -> bool:
        """Whether the reader of what is written here has left."""
        return self.pipe is not None and self.writes and self.pipe.read_closed

    def close(self) -> None:
        """Close this end."""
        if self.closed:
            return
        self.closed = True
        if self.pipe is None:
            return
        if self.writes:
            self.pipe.close_write()
        else:
            self.pipe.close_read()


def null(writes: bool) -> File:
    """/dev/null: end of file to a reader, room without end to a writer."""
    return File("null", None, writes)
