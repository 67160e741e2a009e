"""What it costs to bring tokens back: from an image in memory, from the swap file, or by computing them again.

Rates of one device, followed as it works; numbers only. An image is dropped in place of kept or written only where
computing costs less than half: it takes steps from everybody, while a file is read beside them, and rounds otherwise.
Source: the comparison is that of vLLM's two ways to preempt (Kwon et al., SOSP 2023, section 4.5), by measured rates.
"""

from collections import deque
from math import exp, inf
from statistics import median
from typing import Any, Protocol

from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.stream import Stream
from llmsh.kernel.tax import FIXED_MS, Tax

COMPUTE_MS = 1.0
"""Of a token of input, until one was computed: a small model on one core of a server. A larger one takes longer,
so that at first more images are kept than need be."""
FILE_MS = 5.0
"""Of a MiB to or from the file, until one was moved: 200 MB/s, a disk of flash that is not the fastest."""
SAMPLES = 9
"""The median of so many is a rate: four of them may have been disturbed."""
MEMORY_S = 300.0
"""A file that was slower than the first guess loses two thirds of that in this time: what is not written any more
shows nothing, and the disk may only have been busy."""
INPUT_LEAST = 16
"""Tokens of a step of input that says something about input,"""
LONG_MS = 50.0
"""or how long one took that had no room for as many: a slow model's are all of that kind."""
WORTH = 0.5
"""Of what an image costs: computing again must cost less than this part of it."""
MIB = 1 << 20
"""A call of fewer bytes is taken for one of so many: it has a price of its own, and says nothing of bytes."""


class Clock(Protocol):
    """What is asked of the device's host."""

    def now(self) -> float:
        """Monotonic seconds."""

    def input_ms(self, tokens: int) -> float:
        """Milliseconds of computing so many tokens by the table of rates, 0 when it does not say."""


class Followed:
    """A rate: the median of the last samples. One above the guess comes back to it in `memory` seconds."""

    def __init__(self, guess: float, memory: float = inf) -> None:
        self.guess = guess
        self._memory = memory
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._at = 0.0

    def __bool__(self) -> bool:
        """Whether it was ever measured."""
        return bool(self._samples)

    def saw(self, sample: float, now: float) -> None:
        """It was measured."""
        self._samples.append(sample)
        self._at = now

    def value(self, now: float) -> float:
        """As of now."""
        found = median(self._samples) if self._samples else self.guess
        if found <= self.guess:
            return found
        return float(self.guess * (found / self.guess) ** exp(-max(0.0, now - self._at) / self._memory))


class Restore:
    """Of one device. `tax` has the rate of copies within the memory."""

    def __init__(self, tax: Tax, clock: Clock) -> None:
        self._tax = tax
        self._clock = clock
        self._compute = Followed(COMPUTE_MS)
        self._written = Followed(FILE_MS, MEMORY_S)
        self._read = Followed(FILE_MS, MEMORY_S)

    # What was measured.

    def moved(self, write: bool, size: int, ms: float) -> None:
        """A call wrote or read so many bytes of the file."""
        if size > 0 and ms > 0:
            (self._written if write else self._read).saw(ms / _mib(size), self._clock.now())

    def computed(self, fed: int, made: int, ms: float) -> None:
        """A step of so many tokens of input, and others of answers, took so long."""
        if ms > 0 and (fed >= INPUT_LEAST or (fed > made and ms >= LONG_MS)):
            self._compute.saw(ms / (fed + made), self._clock.now())

    # What it costs, in milliseconds.

    def _file(self, write: bool) -> float:
        """Of a MiB; what was never measured is as the other way."""
        one, other = (self._written, self._read) if write else (self._read, self._written)
        return (one if one or not other else other).value(self._clock.now())

    def computing(self, tokens: int) -> float:
        """To compute so many tokens again, together with what has to be computed in any case."""
        return self._clock.input_ms(tokens) or tokens * self._compute.value(self._clock.now())

    def keeping(self, tokens: int) -> float:
        """To an image in memory and back."""
        return FIXED_MS + tokens * self._tax.copy

    def reading(self, size: int, tokens: int) -> float:
        """Out of the file and into cells."""
        return _mib(size) * self._file(write=False) + self.keeping(tokens) / 2

    def filing(self, size: int, tokens: int) -> float:
        """To the file and back into cells: until it is written, its memory is taken."""
        return _mib(size) * self._file(write=True) + self.reading(size, tokens)

    # Whether to compute.

    def keeps(self, holder: Holder) -> bool:
        """Whether to make an image of it."""
        return exact(holder) or self.computing(lost(holder)) >= WORTH * self.keeping(holder.own)

    def files(self, holder: Holder, size: int) -> bool:
        """Whether to write its image of so many bytes to the file."""
        return exact(holder) or self.computing(lost(holder)) >= WORTH * self.filing(size, holder.own)

    def reads(self, holder: Holder, size: int) -> bool:
        """Whether to bring its image of so many bytes back from there."""
        return exact(holder) or self.computing(lost(holder)) >= WORTH * self.reading(size, holder.own)

    def record(self) -> dict[str, Any]:
        """Milliseconds of a token computed, of one copied to or from an image, of a MiB written and read; those that
        were not measured yet are null, and what is planned with in their place is in this file."""
        now = self._clock.now()
        rates = {"compute_ms": self._compute, "write_ms": self._written, "read_ms": self._read}
        found = {name: round(rate.value(now), 4) if rate else None for name, rate in rates.items()}
        return {"copy_ms": round(self._tax.copy / 2, 5), **found}


def _mib(size: int) -> float:
    return max(1.0, size / MIB)


def exact(holder: Holder) -> bool:
    """Whether its text is promised: what it has made would be computed again token by token."""
    return isinstance(holder, Stream) and holder.exact


def lost(holder: Holder) -> int:
    """Tokens that may have to be computed again once a holder is forgotten: its own, those of all who are based on it,
    and those that it alone is based on, for which nobody has a use then."""
    count, base = _above(holder), holder.base
    while base is not None and len(base.users) < 2:
        count, base = count + base.own, base.base
    return count


def _above(holder: Holder) -> int:
    users = holder.users if isinstance(holder, Keeper) else ()
    return holder.own + sum(map(_above, users))
