"""A bounded pipe inside the kernel. Source: pipe(7).

Bytes that a reader has taken but not yet passed on (a client's unacknowledged ones) go on counting
as in the pipe: so a slow terminal is a full pipe, and a full pipe stops tokens.
"""

from collections.abc import Callable


def _nobody() -> None:
    return None


class Pipe:
    """Bytes between one writer and one reader, at most `capacity` of them (a writer that asked for
    room before may overshoot by one token).

    Hooks are called after the change that they tell of: on_data (bytes or end of file came),
    on_room (the reader took some), on_hangup (the reader is gone).
    """

    __slots__ = (
        "buffer",
        "capacity",
        "has_reader",
        "has_writer",
        "ident",
        "on_data",
        "on_hangup",
        "on_room",
        "read_closed",
        "unacked",
        "write_closed",
        "written",
    )

    def __init__(self, capacity: int, ident: int = 0) -> None:
        self.capacity = capacity
        self.ident = ident
        self.buffer = bytearray()
        self.unacked = 0
        self.written = 0
        self.has_reader = False
        self.has_writer = False
        self.write_closed = False
        self.read_closed = False
        self.on_data: Callable[[], None] = _nobody
        self.on_room: Callable[[], None] = _nobody
        self.on_hangup: Callable[[], None] = _nobody

    @property
    def room(self) -> int:
        """Bytes that may be written now."""
        return max(0, self.capacity - len(self.buffer) - self.unacked)

    @property
    def empty(self) -> bool:
        """Nothing is in the pipe, acknowledged or not."""
        return not self.buffer and not self.unacked

    @property
    def eof(self) -> bool:
        """The writer is gone and everything has been taken."""
        return self.write_closed and not self.buffer

    def write(self, data: bytes) -> None:
        """Append; the writer has looked at `room`. Nothing happens once the reader is gone."""
        if self.read_closed or not data:
            return
        self.buffer += data
        self.written += len(data)
        self.on_data()

    def take(self, most: int, hold: bool = False) -> bytes:
        """At most `most` bytes; with `hold` they count as in the pipe until `ack`."""
        data = bytes(self.buffer[:most])
        del self.buffer[:most]
        if hold:
            self.unacked += len(data)
        elif data:
            self.on_room()
        return data

    def ack(self, count: int) -> None:
        """`count` held bytes have been passed on."""
        count = min(count, self.unacked)
        self.unacked -= count
        if count:
            self.on_room()

    def close_write(self) -> None:
        """No more will come: end of file once the buffer is empty."""
        if not self.write_closed:
            self.write_closed = True
            self.on_data()

    def close_read(self) -> None:
        """Nobody will read: what is there is thrown away and the writer hears of it at once."""
        if not self.read_closed:
            self.read_closed = True
            self.buffer.clear()
            self.unacked = 0
            self.on_hangup()

    def check(self) -> list[str]:
        """Faults in the pipe's books."""
        faults = []
        if self.unacked < 0:
            faults.append(f"pipe {self.ident}: {self.unacked} bytes unacknowledged")
        if self.read_closed and self.buffer:
            faults.append(f"pipe {self.ident}: bytes for nobody")
        return faults
