"""Finds stop strings in an answer, and counts the bytes that nothing can claim any more.

Its state belongs to the answer, not to a lease. It knows bytes only.
"""


def unfinished(data: bytes) -> int:
    """Bytes at the end of `data` that begin a UTF-8 sequence and do not finish it. Source: RFC 3629.

    Bytes that can never become a character count as finished.
    """
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4 if byte < 0xF5 else 1
            return back if back < length else 0
    return 0


class Matcher:
    """Takes an answer's bytes token by token. `total` counts them, `safe` those that may go out:
    no stop string can still begin before them and no character is cut by them."""

    __slots__ = ("_keep", "_stops", "_tail", "safe", "stopped", "total")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop.encode("utf-8", "surrogateescape") for stop in stops if stop)
        self._keep = max(3, *(len(stop) - 1 for stop in self._stops)) if self._stops else 3
        self._tail = b""
        self.total = 0
        self.safe = 0
        self.stopped = False

    def push(self, data: bytes) -> bool:
        """Add bytes; True when a stop string is complete: `safe` is then final, where it began."""
        if self.stopped or not data:
            return self.stopped
        self.total += len(data)
        text = self._tail + data
        starts = [at for at in map(text.find, self._stops) if at >= 0]
        if starts:
            self.stopped = True
            self.safe = self.total - len(text) + min(starts)
            return True
        self.safe = self.total - max(unfinished(text), self._claimed(text))
        self._tail = text[-self._keep :]
        return False

    def _claimed(self, text: bytes) -> int:
        """The longest end of `text` with which a stop string begins."""
        most = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(text)), most, -1):
                if text.endswith(stop[:size]):
                    most = size
                    break
        return most
