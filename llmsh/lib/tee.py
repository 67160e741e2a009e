"""One input for several processes: read once, given to each from where it is.

It holds what the quickest has had and the slowest has not, up to a bound. It reads no descriptor.
"""

from llmsh.abi.limits import BODY_CHUNK

AHEAD = 1 << 20
"""Bytes that the quickest may be ahead of the slowest."""


class Tee:
    """Input of those processes."""

    def __init__(self, pids: list[int]) -> None:
        self._at = dict.fromkeys(pids, 0)
        """How many bytes each has had."""
        self._wants: dict[int, int] = {}
        self._data = bytearray()
        self._start = 0
        """How many bytes of the input are no longer held."""
        self._eof = False

    def want(self, pid: int, n: int) -> None:
        """A process wants at most n bytes."""
        self._wants[pid] = min(max(n, 1), BODY_CHUNK)

    def forget(self, pid: int) -> None:
        """A process has ended."""
        self._wants.pop(pid, None)
        self._at.pop(pid, None)
        self._shorten()

    def feed(self, data: bytes) -> None:
        """More input; none at the end."""
        self._data += data
        self._eof = self._eof or not data

    @property
    def end(self) -> int:
        """How many bytes have been read."""
        return self._start + len(self._data)

    def hungry(self) -> bool:
        """Whether somebody wants what has not been read, and it may be."""
        return not self._eof and len(self._data) < AHEAD and any(self._at[pid] == self.end for pid in self._wants)

    def give(self) -> list[tuple[int, bytes]]:
        """What is to be given now, and to whom; nothing, at the end."""
        out: list[tuple[int, bytes]] = []
        for pid, n in list(self._wants.items()):
            at = self._at[pid]
            data = bytes(self._data[at - self._start : at - self._start + n])
            if data or self._eof:
                out.append((pid, data))
                self._at[pid] += len(data)
                del self._wants[pid]
        self._shorten()
        return out

    def _shorten(self) -> None:
        keep = min(self._at.values(), default=self.end)
        del self._data[: keep - self._start]
        self._start = keep
