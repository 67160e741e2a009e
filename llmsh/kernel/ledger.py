"""What the kernel writes down, and in which order: processes, tokens, ends, and detached output.

Accepted means journaled. A detached process's bytes go to its log only after the journal has the
tokens they come from, so a restart neither repeats nor drops. It knows no SQL and no file.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Protocol

from llmsh.abi.errors import Error
from llmsh.kernel.pipe import Pipe
from llmsh.kernel.proc import Process

Committed = Callable[[Error | None], None]
"""Called on the kernel's thread when a record is on disk, or cannot be."""


class Journal(Protocol):
    """Where records go."""

    def started(self, record: dict[str, Any], committed: Committed) -> None:
        """A process was accepted."""

    def tokens(self, pid: int, at: int, tokens: Sequence[int]) -> None:
        """Tokens were appended at position `at` of a process's log."""

    def ended(self, record: dict[str, Any]) -> None:
        """A process has ended: pid, status, signal, reason, ended."""

    def forget(self) -> None:
        """Forget every process that has ended."""

    def barrier(self, committed: Committed) -> None:
        """Everything before this is on disk."""


class Logs(Protocol):
    """Logs of detached processes."""

    def append(self, pid: int, data: bytes) -> None:
        """Add bytes to a process's log."""

    def finished(self, pid: int) -> None:
        """A process has ended, whether it has a log or not."""

    def read(self, pid: int, offset: int, most: int) -> tuple[int, bytes]:
        """Bytes from an offset (negative: from the end) and the offset after them.

        Raises Error ENOENT when there is no log."""

    def purge(self, spared: Collection[int]) -> int:
        """Take all logs away but of these processes; their bytes."""


class Ledger:
    """Journal and logs, as the kernel uses them."""

    def __init__(
        self,
        journal: Journal,
        logs: Logs,
        *,
        last_pid: int = 0,
        statuses: dict[int, dict[str, Any]] | None = None,
        lost: Sequence[str] = (),
    ) -> None:
        self.journal = journal
        self.logs = logs
        self.last_pid = last_pid
        self.statuses = statuses or {}
        self.lost = list(lost)
        """A line for each process that the last daemon left running."""
        self._waiting: dict[int, list[Callable[[], None]]] = {}
        self._flying: dict[int, bytearray] = {}
        """Bytes of each process on their way to its log; a reader sees them as the log's end."""

    def started(self, process: Process, committed: Committed) -> None:
        """The process is to be; `committed` says whether it may."""
        record = {
            "pid": process.pid,
            "ppid": process.ppid,
            "pgid": process.pgid,
            "sid": process.sid,
            "agent": process.agent,
            "model": process.model,
            "args": process.args,
            "cwd": process.cwd,
            "nice": process.nice,
            "started": process.started,
            "detached": process.detached,
        }
        self.journal.started(record, committed)

    def tokens(self, process: Process, at: int, tokens: Sequence[int]) -> None:
        """Tokens were appended to its log."""
        self.journal.tokens(process.pid, at, tokens)

    def ended(self, process: Process, recorded: Callable[[], None]) -> None:
        """It has ended; `recorded` when that is on disk, or cannot be: an end cannot be refused."""
        self.logs.finished(process.pid)
        self.journal.ended(
            {
                "pid": process.pid,
                "status": process.status,
                "signal": process.signal,
                "reason": process.reason,
                "ended": process.ended,
            }
        )
        self.journal.barrier(lambda error: recorded())

    def purge(self, spared: Collection[int], done: Callable[[int, Error | None], None]) -> None:
        """Forget ended processes, and all logs but of the spared; `done` gets the bytes that went."""
        count = self.logs.purge(spared)
        self.journal.forget()
        self.journal.barrier(lambda error: done(count, error))

    def sink(self, process: Process, failed: Callable[[Error], None]) -> Pipe:
        """A pipe that leads to the process's log, by way of the journal; `failed` when it cannot."""
        pipe = Pipe(1 << 16)
        pid = process.pid
        # The log is there from the start: no output yet is not the same as no log.
        self.logs.append(pid, b"")

        def flow() -> None:
            if pipe.buffer:
                data = pipe.take(len(pipe.buffer), hold=True)
                self._flying.setdefault(pid, bytearray()).extend(data)
                self.journal.barrier(partial(written, data))
                for call in self._waiting.pop(pid, []):
                    call()

        def written(data: bytes, error: Error | None) -> None:
            # Both of a process's sinks fly in the order of their barriers.
            del self._flying[pid][: len(data)]
            if not self._flying[pid]:
                del self._flying[pid]
            if error is not None:
                pipe.close_write()
                failed(error)
                return
            self.logs.append(pid, data)
            pipe.ack(len(data))

        pipe.on_data = flow
        return pipe

    def read_log(self, pid: int, offset: int, most: int) -> tuple[int, bytes]:
        """See Logs.read. What is on its way to the log counts as there: an ended process has all its output."""
        end, _ = self.logs.read(pid, -1, 1)
        flying = self._flying.get(pid, b"")
        at = max(0, end + len(flying) + offset) if offset < 0 else min(offset, end + len(flying))
        if at < end:
            return self.logs.read(pid, at, most)
        data = bytes(flying[at - end : at - end + most])
        return at + len(data), data

    def on_log(self, pid: int, call: Callable[[], None]) -> None:
        """Call once when the log grows."""
        self._waiting.setdefault(pid, []).append(call)
