"""What the fake model says: bytes as tokens, and text that is a pure function of the log.

It knows no sequence and no lease. A writer says the next token of an answer; the matcher counts the
bytes of an answer that nothing can claim any more.
"""

import zlib
from typing import Protocol

EOS = 256
VOCAB = 257
MASK = (1 << 64) - 1
JSON_GRAMMAR = "fake-json:"
"""How a grammar of the fake model begins; what follows is the answer it allows."""
_LETTERS = b"etaoinshrdlucmfwypvbgk"


class Writer(Protocol):
    """A model: the next token of the answer that begins at `at`, EOS to end it."""

    def next(self, log: bytes, at: int, seed: int) -> int:
        """A pure function: the same log, start and seed give the same token."""


def mix(*values: int) -> int:
    """A number in 0 .. 2**32 - 1 that depends on every value."""
    return zlib.crc32(b"".join((value & MASK).to_bytes(8, "big") for value in values))


class Words:
    """Lowercase words; the answer is between half of and one and a half times `length` long."""

    def __init__(self, length: int = 24) -> None:
        self.length = length

    def next(self, log: bytes, at: int, seed: int) -> int:
        """A letter, a space after some letters, or EOS at the length that the prompt gives."""
        end = self.length // 2 + mix(seed, at, zlib.crc32(log[:at])) % (self.length + 1)
        if len(log) - at >= max(1, end):
            return EOS
        luck = mix(seed, len(log), zlib.crc32(log))
        if len(log) > at and log[-1:] != b" " and luck % 6 == 0:
            return ord(" ")
        return _LETTERS[luck // 6 % len(_LETTERS)]


class Script:
    """The same answer always: `text`, then EOS."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def next(self, log: bytes, at: int, seed: int) -> int:
        """The byte of the text at this place of the answer."""
        place = len(log) - at
        return self.text[place] if place < len(self.text) else EOS


def unfinished(text: bytes) -> int:
    """Bytes at the end that begin a UTF-8 sequence and do not end it."""
    for back in range(1, min(3, len(text)) + 1):
        byte = text[-back]
        if byte & 0xC0 == 0x80:
            continue
        need = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return back if need > back else 0
    return 0


class Matcher:
    """The bytes of one answer against its stop strings. Tokens come one at a time."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = [stop.encode() for stop in stops if stop]
        self._keep = max([4, *map(len, self._stops)])
        self._tail = b""
        self._length = 0
        self.safe = 0
        self.stopped = False

    def feed(self, byte: int) -> None:
        """Take one more byte; after a stop string `safe` is the place where it begins."""
        self._tail = (self._tail + bytes([byte]))[-self._keep :]
        self._length += 1
        found = [len(stop) for stop in self._stops if self._tail.endswith(stop)]
        if found:
            self.safe, self.stopped = self._length - max(found), True
        else:
            self.safe = max(self.safe, self._length - max(self._claimed(), unfinished(self._tail)))

    def _claimed(self) -> int:
        """Bytes at the end that begin a stop string."""
        claimed = 0
        for stop in self._stops:
            lengths = range(min(len(stop) - 1, len(self._tail)), claimed, -1)
            claimed = next((length for length in lengths if self._tail.endswith(stop[:length])), claimed)
        return claimed


def score(log: bytes, label: bytes) -> float:
    """Log-probability of a label after a log: deterministic, negative, longer labels rarer."""
    return sum(-0.05 - mix(len(log), place, zlib.crc32(log), byte) % 997 / 400 for place, byte in enumerate(label))
