"""Logs of detached processes: a file each, capped, by absolute offsets. Read by `logs`.

A log is PID.out; past half of its cap the file becomes PID.out.1 (the older one goes) and the next
begins. PID.at holds the offset at which PID.out begins. Writes go to the page cache and are not synced.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Collection

from llmsh.abi.errors import Error
from llmsh.abi.levels import ERR
from llmsh.abi.limits import STATUSES_KEPT

LOG_MAX_BYTES = 8 << 20
OPEN_MAX = 64
"""Logs held open for writing; others are opened again."""
LOGS_MAX = STATUSES_KEPT + 256
"""Logs of processes that have ended; past it that of the one that ended first goes."""


class Log:
    """One open log."""

    def __init__(self, fd: int, start: int, size: int) -> None:
        self.fd = fd
        self.start = start
        """Offset of the file's first byte."""
        self.size = size


class Logs:
    """Implements kernel.ledger.Logs over a folder that only the user may enter."""

    def __init__(self, folder: str, say: Callable[[str], None], cap: int = LOG_MAX_BYTES) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._folder = folder
        self._say = say
        self._half = max(1, cap // 2)
        self._open: OrderedDict[int, Log] = OrderedDict()
        self._ended = OrderedDict.fromkeys(self._by_age())
        """Whose process has ended: the first of them first."""
        self._live: set[int] = set()
        """Whose has not: they stay, however many they are."""
        self._failed = False

    def _by_age(self) -> list[int]:
        ages: list[tuple[float, int]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                stem, _, suffix = entry.name.partition(".")
                if suffix == "out" and stem.isdecimal():
                    ages.append((entry.stat().st_mtime, int(stem)))
        return [pid for _, pid in sorted(ages)]

    def _path(self, pid: int, suffix: str) -> str:
        return os.path.join(self._folder, f"{pid}.{suffix}")

    # Writing.

    def append(self, pid: int, data: bytes) -> None:
        """Add bytes, none to make an empty log. What the disk does not take is lost, and said once."""
        try:
            log = self._writable(pid)
            view = memoryview(data)
            while view:
                if log.size >= self._half:
                    log = self._rotate(pid, log)
                count = os.write(log.fd, view[: self._half - log.size])
                log.size += count
                view = view[count:]
        except OSError as exc:
            if not self._failed:
                self._say(f"{ERR}logs: {pid}: {exc.strerror}: output is lost")
            self._failed = True
        else:
            self._failed = False

    def _writable(self, pid: int) -> Log:
        log = self._open.get(pid)
        if log is None:
            fd = os.open(self._path(pid, "out"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            log = self._open[pid] = Log(fd, self._start(pid), os.fstat(fd).st_size)
            if pid not in self._ended:
                self._live.add(pid)
            if len(self._open) > OPEN_MAX:
                _, oldest = self._open.popitem(last=False)
                os.close(oldest.fd)
        self._open.move_to_end(pid)
        return log

    def _rotate(self, pid: int, log: Log) -> Log:
        """The full file becomes the older one. A crash on the way loses the older one, no offset."""
        start = log.start + log.size
        path = self._path(pid, "at")
        with open(path + ".tmp", "w", encoding="ascii", opener=_private) as file:
            file.write(f"{start}\n")
        os.rename(self._path(pid, "out"), self._path(pid, "out.1"))
        os.rename(path + ".tmp", path)
        os.close(self._open.pop(pid).fd)
        return self._writable(pid)

    def finished(self, pid: int) -> None:
        """Its process has ended. The last of what that has said may still come."""
        if pid in self._live:
            self._live.discard(pid)
            self._ended[pid] = None
            while len(self._ended) > LOGS_MAX:
                self.remove(next(iter(self._ended)))

    def remove(self, pid: int) -> None:
        """Take a log away."""
        self._ended.pop(pid, None)
        self._live.discard(pid)
        log = self._open.pop(pid, None)
        if log is not None:
            os.close(log.fd)
        for suffix in ("out", "out.1", "at", "at.tmp"):
            try:
                os.unlink(self._path(pid, suffix))
            except FileNotFoundError:
                continue

    def purge(self, spared: Collection[int]) -> int:
        """Take all logs away but of these processes; their bytes."""
        count = 0
        for pid in [pid for pid in (*self._ended, *self._live) if pid not in spared]:
            count += self._size(pid, "out") + self._size(pid, "out.1")
            self.remove(pid)
        return count

    def close(self) -> None:
        """Close every file."""
        for log in self._open.values():
            os.close(log.fd)
        self._open.clear()

    # Reading.

    def _start(self, pid: int) -> int:
        try:
            with open(self._path(pid, "at"), encoding="ascii") as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return 0

    def read(self, pid: int, offset: int, most: int) -> tuple[int, bytes]:
        """Bytes from an offset (negative: from the end), and the offset after them. What is not kept
        any more is left out: the bytes then begin at the first that is.

        Raises Error ENOENT when there is no log."""
        start = self._start(pid)
        try:
            size = os.stat(self._path(pid, "out")).st_size
        except FileNotFoundError:
            raise Error("ENOENT", f"{pid}: no log") from None
        end = start + size
        older = self._size(pid, "out.1")
        at = min(max(end + offset if offset < 0 else offset, start - older), end)
        if at < start:
            data = self._bytes(pid, "out.1", at - (start - older), most)
        else:
            data = self._bytes(pid, "out", at - start, most)
        return at + len(data), data

    def _size(self, pid: int, suffix: str) -> int:
        try:
            return os.stat(self._path(pid, suffix)).st_size
        except FileNotFoundError:
            return 0

    def _bytes(self, pid: int, suffix: str, place: int, most: int) -> bytes:
        with open(self._path(pid, suffix), "rb", buffering=0) as file:
            file.seek(place)
            return file.read(most) or b""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
