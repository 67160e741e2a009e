"""A work queue that processes share: a pipe with several readers, each of whom takes the next whole line when
it is free. With pipe(7) several readers may tear a line; here nobody sees half of one.

Who writes is an agent, or the connection that made it. It knows no process: whoever reads has a Share, and
asks by it.
"""

from collections import deque
from collections.abc import Callable

from llmsh.kernel.pipe import Pipe


class Share(Pipe):
    """One reader's end: what it was given and has not taken yet."""

    def __init__(self, queue: "WorkQueue", pid: int) -> None:
        super().__init__(queue.capacity, queue.ident)
        self.queue = queue
        self.pid = pid

    def ask(self, count: int) -> None:
        """The reader is free: it is given the next line, now or when there is one."""
        self.queue.ask(self)

    def close_read(self) -> None:
        """The reader is gone: what it was given and did not take is somebody else's."""
        if not self.read_closed:
            rest, self.buffer = self.buffer, bytearray()
            super().close_read()
            self.queue.leave(self, bytes(rest))


class WorkQueue(Pipe):
    """Lines for whoever is free. A line longer than the capacity goes, piece by piece, to one reader."""

    def __init__(self, capacity: int, ident: int, want: Callable[[int, int], None]) -> None:
        super().__init__(capacity, ident)
        self.on_data = self.deal
        self._want = want
        """Asks the connection for bytes, in the name of a reader, when no agent writes: pid and how many."""
        self._shares: list[Share] = []
        self._free: deque[Share] = deque()
        """Readers without work, in the order in which they became so."""
        self._holder: Share | None = None
        """Who has the beginning of a line that was too long to be given whole."""
        self._wanting: Share | None = None
        self._dealing = False

    def join(self, pid: int) -> Share:
        """One more reader."""
        share = Share(self, pid)
        self._shares.append(share)
        self.has_reader = True
        if self.eof:
            share.close_write()
        return share

    def ask(self, share: Share) -> None:
        """The reader has no work."""
        if share not in self._free:
            self._free.append(share)
        self.deal()

    def leave(self, share: Share, rest: bytes) -> None:
        """The reader is gone."""
        self._shares.remove(share)
        if share in self._free:
            self._free.remove(share)
        if self._holder is share:
            self._holder = None
        if self._wanting is share:
            self._wanting = None
        self.buffer[:0] = rest
        if self._shares:
            self.deal()
        else:
            self.close_read()

    def write(self, data: bytes) -> None:
        """See Pipe. What was asked for has come, unless it is nothing."""
        if data:
            self._wanting = None
        super().write(data)

    def deal(self) -> None:
        """Give lines to who is free. A reader that takes one may be free again at once."""
        if self._dealing:
            return
        self._dealing = True
        try:
            while self._next():
                pass
        finally:
            self._dealing = False
        if self.eof:
            for share in list(self._shares):
                share.close_write()
        elif self._free and self._wanting is None and not self.has_writer and self.room:
            self._wanting = self._holder or self._free[0]
            self._want(self._wanting.pid, self.room)

    def _next(self) -> bool:
        share = self._holder or (self._free[0] if self._free else None)
        count = self.buffer.find(b"\n") + 1
        if not count and (self.write_closed or not self.room):
            count = len(self.buffer)
        if share is None or share not in self._free or not count:
            return False
        self._free.remove(share)
        data = self.take(count)
        self._holder = None if data.endswith(b"\n") else share
        share.write(data)
        return True

    def check(self) -> list[str]:
        """See Pipe."""
        faults = super().check()
        if any(share not in self._shares for share in self._free):
            faults.append(f"queue {self.ident}: a reader that is gone waits for work")
        return faults
