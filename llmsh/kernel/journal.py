"""The journal: records go to a thread, which writes them in groups; who waits hears when they are on disk.

It knows no event loop: `post` brings a call to the kernel's thread. Rules: docs/design.md, loss.
"""

import os
import threading
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, NamedTuple

from llmsh.abi.errors import Error
from llmsh.abi.levels import ERR, NOTICE
from llmsh.kernel.store import Ended, Purge, Record, Recovered, Started, Store, Tokens

Committed = Callable[[Error | None], None]
Post = Callable[[Callable[[], None]], object]

LINGER_S = 0.1
"""Tokens that nobody waits for are written in groups of this much time."""
QUEUE_MAX = 65536
"""Records that may wait; a disk that hangs must not fill the memory."""
FULL = "journal: no space left on device"
RESERVE_BYTES = 1 << 20
RESERVE_RETRY_S = 10.0


class Entry(NamedTuple):
    """A record on its way, and who waits for it; a barrier has no record."""

    record: Record | None
    committed: Committed | None


class Reserve:
    """A file that keeps some space back, so that ends can be written on a full disk."""

    def __init__(self, path: str, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size
        self._tried = 0.0
        self.fill()

    def fill(self) -> None:
        """Take the space again, unless it was tried a moment ago."""
        if os.path.exists(self._path) or monotonic() - self._tried < RESERVE_RETRY_S:
            return
        self._tried = monotonic()
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._size)
        except OSError:
            os.unlink(self._path)
        finally:
            os.close(fd)

    def spend(self) -> bool:
        """Give the space back to the disk; False when that was done before."""
        try:
            os.unlink(self._path)
        except OSError:
            return False
        return True


class Journal:
    """Implements kernel.ledger.Journal over a Store. `say` takes a line for dmesg, on any thread."""

    def __init__(self, store: Store, reserve: Reserve, post: Post, say: Callable[[str], None]) -> None:
        self._store = store
        self._reserve = reserve
        self._post = post
        self._say = say
        self._queue: deque[Entry] = deque()
        self._urgent = False
        self._closing = False
        self._full = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def recover(self, now: float) -> Recovered:
        """What the last daemon left; then begin to write."""
        found = self._store.recover(now)
        self._thread.start()
        return found

    # The kernel's side.

    def started(self, record: dict[str, Any], committed: Committed) -> None:
        """A process was accepted, if `committed` is told None."""
        self._append(Entry(Started(dict(record)), committed))

    def tokens(self, pid: int, at: int, tokens: Sequence[int]) -> None:
        """Tokens were appended at position `at` of a process's log."""
        self._append(Entry(Tokens(pid, at, array("i", tokens)), None))

    def ended(self, record: dict[str, Any]) -> None:
        """A process has ended: pid, status, signal, reason, ended."""
        self._append(Entry(Ended(dict(record)), None))

    def forget(self) -> None:
        """Forget every process that has ended."""
        self._append(Entry(Purge(), None))

    def barrier(self, committed: Committed) -> None:
        """Tell when everything before this is on disk."""
        self._append(Entry(None, committed))

    def close(self) -> None:
        """Write what waits, end the thread, close the file."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._store.close()

    def _append(self, entry: Entry) -> None:
        with self._wake:
            # An end is never refused: there is at most one a process, and processes are bounded.
            taken = len(self._queue) < QUEUE_MAX or isinstance(entry.record, Ended)
            if taken:
                self._queue.append(entry)
                if entry.committed is not None and not self._urgent:
                    self._urgent = True
                    self._wake.notify()
                elif len(self._queue) == 1:
                    self._wake.notify()
        if not taken and entry.committed is not None:
            committed = entry.committed
            self._post(lambda: committed(Error("EAGAIN", "journal: the disk does not keep up")))

    # The thread's side.

    def _run(self) -> None:
        while batch := self._next():
            answers = self._write(batch)
            told = [(entry.committed, error) for entry, error in zip(batch, answers, strict=True) if entry.committed]
            if told:
                self._tell(told)

    def _next(self) -> list[Entry]:
        """Everything that waits; empty when the journal is being closed and nothing does."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closing)
            if not self._urgent and not self._closing:
                self._wake.wait_for(lambda: self._urgent or self._closing, LINGER_S)
            batch = list(self._queue)
            self._queue.clear()
            self._urgent = False
            return batch

    def _write(self, batch: list[Entry]) -> list[Error | None]:
        """Write a batch; what became of each entry."""
        records = [entry.record for entry in batch if entry.record is not None]
        if self._full and not records:
            # What came before these barriers may have been lost.
            return [Error("ENOSPC", FULL)] * len(batch)
        try:
            self._commit(records)
        except Error as error:
            return self._rescue(batch, error)
        return [None] * len(batch)

    def _commit(self, records: Sequence[Record]) -> None:
        if records:
            self._store.write(records)
            if self._full:
                self._full = False
                self._say(f"{NOTICE}journal: there is space again")
            self._reserve.fill()

    def _rescue(self, batch: list[Entry], error: Error) -> list[Error | None]:
        """A batch failed whole. On a full disk only ends are written, from the reserve; otherwise each
        record has its own try, so that one bad record fails alone."""
        if error.code == "ENOSPC" and not self._full:
            self._full = True
            self._say(f"{ERR}{FULL}: nothing new is accepted until there is some")
        answers: list[Error | None] = []
        for entry in batch:
            if error.code == "ENOSPC" and not isinstance(entry.record, Ended):
                answers.append(error)
            else:
                answers.append(self._single(entry))
        return answers

    def _single(self, entry: Entry) -> Error | None:
        if entry.record is None:
            return None
        for _ in range(2):
            try:
                self._store.write([entry.record])
            except Error as error:
                if error.code == "ENOSPC" and self._reserve.spend():
                    continue
                if not self._full:
                    self._say(ERR + error.detail)
                return error
            return None
        return None

    def _tell(self, told: list[tuple[Committed, Error | None]]) -> None:
        def tell() -> None:
            for committed, error in told:
                committed(error)

        try:
            self._post(tell)
        except RuntimeError:
            return  # The loop has ended: so has everybody who waited.
