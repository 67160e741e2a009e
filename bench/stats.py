"""Numbers from samples: medians, percentiles, and intervals by bootstrap. It knows no measurement.

Two programs on a shared machine are compared by paired ratios: what the machine does to one sample it
most likely does to the one beside it. Source: Efron and Tibshirani, An Introduction to the Bootstrap
(1993), chapter 13, percentile intervals.
"""

import random
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

ROUNDS = 2000
SEED = 20111


class Estimate(NamedTuple):
    """A median and the interval that holds it with 95% confidence."""

    middle: float
    low: float
    high: float
    samples: int

    def shown(self, form: str = ".2f") -> str:
        """As tables have it."""
        if self.samples == 1:
            return f"{self.middle:{form}} (one pair)"
        return f"{self.middle:{form}} [{self.low:{form}}, {self.high:{form}}]"

    def record(self) -> dict[str, float]:
        """For JSON."""
        return {"median": self.middle, "low": self.low, "high": self.high, "samples": self.samples}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the samples lie, interpolated. Needs a sample."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def estimate(values: Sequence[float], of: Callable[[Sequence[float]], float] = median) -> Estimate:
    """The median (or another statistic) with its interval: the samples drawn anew ROUNDS times."""
    draw = random.Random(SEED)  # the same samples give the same interval
    drawn = [of(draw.choices(values, k=len(values))) for _ in range(ROUNDS)]
    return Estimate(of(values), percentile(drawn, 0.025), percentile(drawn, 0.975), len(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """The paired ratio ours / theirs."""
    return estimate([a / b for a, b in zip(ours, theirs, strict=True)])


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """The paired difference ours - theirs."""
    return estimate([a - b for a, b in zip(ours, theirs, strict=True)])
