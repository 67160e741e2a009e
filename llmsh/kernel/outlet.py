"""The far end of a process's output: to a client by frames, or to its log by way of the journal.

It moves bytes out of a Pipe as fast as the far end takes them, and says when all are out.
"""

from collections.abc import Callable

from llmsh.abi.limits import BODY_CHUNK
from llmsh.kernel.caller import Caller
from llmsh.kernel.pipe import Pipe


class Outlet:
    """A client's descriptor 1 or 2: bytes count as in the pipe until the client acknowledges."""

    __slots__ = ("caller", "drained", "fd", "pid", "pipe")

    def __init__(self, caller: Caller, pid: int, fd: int, pipe: Pipe, drained: Callable[[], None]) -> None:
        self.caller = caller
        self.pid = pid
        self.fd = fd
        self.pipe = pipe
        self.drained = drained
        pipe.on_data = self.pump

    def pump(self) -> None:
        """Send what is there while the connection takes it."""
        while self.pipe.buffer and not self.caller.gone and self.caller.conn.writable:
            data = self.pipe.take(BODY_CHUNK, hold=True)
            self.caller.event({"ev": "out", "pid": self.pid, "fd": self.fd}, data)
        self._settle()

    def ack(self, count: int) -> None:
        """The client has written them on."""
        self.pipe.ack(count)
        self._settle()

    def hangup(self) -> None:
        """The client closed the descriptor or is gone."""
        self.pipe.close_read()
        self._settle()

    @property
    def done(self) -> bool:
        """Whether nothing will come and nothing is under way."""
        return self.pipe.read_closed or (self.pipe.write_closed and self.pipe.empty)

    def _settle(self) -> None:
        if self.done:
            self.drained()
