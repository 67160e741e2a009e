"""What to measure next, and what a measurement says. Measures in the background, a slice at a time.

It knows no device: `Calibration` says which slice is wanted, gets what came of it, and fills a table. When
it may measure is tuning.py's.
"""

from collections.abc import Sequence

from llmsh.kernel.configuration import Limits, splits
from llmsh.kernel.rates import BATCHES, CHUNKS, Point, Rates

SLICE_MS = 100
"""One measurement; a single step may take longer."""
STEP_MS = 700.0
"""A step that is expected to take longer is not measured: it could not give way in time on every machine."""
SPENT_MS = 18_000.0
"""All measurements of a table together; as much again, once, when it was found to be made in a bad moment."""
FASTER = 4.0
"""A token of input costs at least so small a part of a generated one, as far as is known before any was read."""
TRIES = 5
"""How often a point may fail before it is left out in this life of the engine. To give way is no failure."""
DISTURBED = 1.25
"""Upper quartile of a slice over the lower, from which something else ran at the same time."""
SHARE = 0.9
"""The part of its time that a slice must have had its CPUs, or something else had them."""
AGAIN_S = (60.0, 600.0, 3600.0)
"""After how long a point is measured again that was disturbed."""
GAVE_WAY = ("gave way", "aborted", "engine died")

_ORDER = (
    *((batch, 1) for batch in BATCHES[:4]),
    *((1, chunk) for chunk in CHUNKS[:2]),
    *((batch, 1) for batch in BATCHES[4:]),
    *((1, chunk) for chunk in CHUNKS[2:]),
)
"""Sequences and tokens, what matters most first."""


def points(limits: Limits) -> list[Point]:
    """All that is worth measuring, in order."""
    most = limits.fixed_seats or limits.seats
    return [
        Point(cores, threads, batch, tokens)
        for batch, tokens in _ORDER
        if batch <= most
        for cores, threads in splits(limits)
    ]


def typical(took: Sequence[float]) -> float:
    """Milliseconds of a step, from those of a slice: the lower quartile, since whatever disturbs only adds."""
    return sorted(took)[len(took) // 4]


def disturbed(took: Sequence[float]) -> bool:
    """Whether a slice says more of what else ran than of the machine. One or two steps cannot tell."""
    ordered = sorted(took)
    return len(took) < 3 or ordered[len(took) * 3 // 4] > DISTURBED * ordered[len(took) // 4]


class Calibration:
    """One table being filled. Times are seconds, of any clock."""

    def __init__(self, rates: Rates, limits: Limits, now: float = 0.0) -> None:
        self.rates = rates
        self._wanted = points(limits)
        self._failed: dict[Point, int] = {}
        doubtful = [point for point in self._wanted if point in rates.doubtful]
        self._again: dict[Point, tuple[int, float]] = dict.fromkeys(doubtful, (0, now + AGAIN_S[0]))
        """Points to be measured again: how often they were, and when."""
        self._once: dict[Point, None] = {}
        """Points that were measured once. All are measured twice, one round after the other, and the least counts: what
        slows a machine down for as long as a slice takes does not show in the slice."""

    @property
    def threads(self) -> int:
        """Those of the first point: a core alone."""
        return self._wanted[0].threads

    @property
    def complete(self) -> bool:
        """Whether all is known that can be; some of it may be doubtful."""
        return self._needed() is None

    def wait(self, now: float) -> float | None:
        """Seconds until there is something to measure; None for never."""
        if self._needed() is not None:
            return 0.0
        return max(0.0, min(at for _, at in self._again.values()) - now) if self._again else None

    def next(self, now: float) -> Point | None:
        """The next slice; None when there is nothing to measure now."""
        return self._needed() or next((point for point, (_, at) in self._again.items() if at <= now), None)

    def _needed(self) -> Point | None:
        """What is not known, or only from one slice."""
        if self.rates.spent_ms >= SPENT_MS:
            return None
        unknown = (each for each in self._wanted if each not in self.rates.ms and self._worth(each))
        return next(unknown, None) or next(iter(self._once), None)

    def _worth(self, point: Point) -> bool:
        if self._failed.get(point, 0) >= TRIES:
            return False
        # Corrections are of the moment; what was measured is what this is compared with.
        smaller = [
            (each.batch * each.tokens, ms)
            for each, ms in self.rates.ms.items()
            if (each.cores, each.threads, each.tokens > 1) == (point.cores, point.threads, point.tokens > 1)
        ]
        if not smaller:
            # The first step of input may be of seconds where a token is slow: nothing smaller tells.
            made = self.rates.ms.get(Point(point.cores, point.threads, 1), 0.0) if point.tokens > 1 else 0.0
            return made * point.tokens / FASTER <= STEP_MS
        size, ms = max(smaller)
        return ms * max(1.0, point.batch * point.tokens / size) <= STEP_MS

    def ended(
        self, point: Point, took: Sequence[Sequence[float]], error: str, now: float = 0.0, share: float = 1.0
    ) -> None:
        """A slice has ended: milliseconds of each step, core by core; `share`: the part of its time that it ran."""
        if point not in self.rates.ms or point in self._once:
            self.rates.spent_ms += max((sum(each) for each in took), default=0.0)
        if error in GAVE_WAY:
            return
        if error or not all(map(sum, took)):
            self._failed[point] = self._failed.get(point, 0) + 1
            if self._failed[point] >= TRIES:
                self._again.pop(point, None)
                self._once.pop(point, None)
        else:
            self._accept(point, sum(map(typical, took)) / len(took), share < SHARE or any(map(disturbed, took)), now)

    def _accept(self, point: Point, ms: float, doubtful: bool, now: float) -> None:
        """The least holds, but for what is not doubtful in place of what is. What is doubtful is measured again, a few
        times."""
        rates, old = self.rates, self.rates.ms.get(point)
        if old is not None and ms * DISTURBED < old and not rates.renewed:
            # The machine was not itself: what was left out for its cost may be worth measuring now. Only once: a
            # machine that is never itself would be measured without end.
            rates.spent_ms, rates.renewed = 0.0, True
        least = old is None or ms < old or (point in rates.doubtful and not doubtful)
        if least:
            rates.measured(point, ms)
            rates.improved = True
        again = point in self._once
        if old is None:
            self._once[point] = None
        elif again:
            del self._once[point]
        tries, _ = self._again.pop(point, (-1, 0.0))
        tries = max(0, tries) if again else tries + 1
        doubtful = doubtful if least else point in rates.doubtful
        rates.doubtful.discard(point)
        if doubtful and tries < len(AGAIN_S):
            rates.doubtful.add(point)
            self._again[point] = (tries, now + AGAIN_S[tries])

    @property
    def progress(self) -> tuple[int, int]:
        """Points that are known, of those that are wanted."""
        return sum(each in self.rates.ms for each in self._wanted), len(self._wanted)
