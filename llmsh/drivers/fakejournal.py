"""A journal and logs in memory, for kernel tests: the same calls, answered when the test's clock goes on.

It keeps everything it is given, in order, and can be told to be slow or full.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llmsh.abi.errors import Error
from llmsh.kernel.clock import Clock

Committed = Callable[[Error | None], None]


class FakeJournal:
    """Implements kernel.ledger.Journal. `delay`: seconds until a record is on disk; `error`: what
    every record that somebody waits for gets, from now on."""

    def __init__(self, clock: Clock, delay: float = 0.001) -> None:
        self._clock = clock
        self.delay = delay
        self.error: Error | None = None
        self.processes: dict[int, dict[str, Any]] = {}
        self.logs: dict[int, list[int]] = {}
        self.ends: dict[int, dict[str, Any]] = {}

    def started(self, record: dict[str, Any], committed: Committed) -> None:
        """A process was accepted."""
        error = self.error
        if error is None:
            self.processes[record["pid"]] = dict(record)
        self._clock.call_later(self.delay, lambda: committed(error))

    def tokens(self, pid: int, at: int, tokens: Sequence[int]) -> None:
        """Tokens were appended at position `at`; what the log had from there on is gone."""
        log = self.logs.setdefault(pid, [])
        if at > len(log):
            raise AssertionError(f"process {pid}: tokens at {at}, the log is {len(log)} long")
        log[at:] = tokens

    def ended(self, record: dict[str, Any]) -> None:
        """A process has ended, once."""
        if record["pid"] in self.ends:
            raise AssertionError(f"process {record['pid']}: ended twice")
        self.ends[record["pid"]] = dict(record)

    def barrier(self, committed: Committed) -> None:
        """Everything before this is on disk."""
        error = self.error
        self._clock.call_later(self.delay, lambda: committed(error))


class FakeLogs:
    """Implements kernel.ledger.Logs."""

    def __init__(self) -> None:
        self.kept: dict[int, bytearray] = {}

    def append(self, pid: int, data: bytes) -> None:
        """Add bytes to a process's log."""
        self.kept.setdefault(pid, bytearray()).extend(data)

    def read(self, pid: int, offset: int, most: int) -> tuple[int, bytes]:
        """Bytes from an offset (negative: from the end), and the offset after them."""
        if pid not in self.kept:
            raise Error("ENOENT", f"{pid}: no log")
        log = self.kept[pid]
        start = max(0, len(log) + offset) if offset < 0 else min(offset, len(log))
        data = bytes(log[start : start + most])
        return start + len(data), data
