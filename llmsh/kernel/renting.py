"""What a cell that lies below the highest one costs a step: when to measure it, and what a measurement says.

Steps with a cache as it is and with a fuller one alternate within a measurement, so that what else goes on in
the machine touches both. It knows no device.
"""

from collections.abc import Sequence
from statistics import median

from llmsh.abi.lease import TURN
from llmsh.kernel.calibration import GAVE_WAY, SHARE, disturbed, typical
from llmsh.kernel.rates import Point, Rates

SLICE_MS = 600
LEAST, MOST = 1024, 4096
"""Cells that a cache is filled with: fewer say nothing, more take time."""
TRIES = 3
"""Measurements at most, if all are disturbed: then the middle one holds, unless it is absurd."""


class Renting:
    """For one table, of an engine with so many cells a core, whose steps have `threads`."""

    def __init__(self, rates: Rates, cells: int, threads: int) -> None:
        self.rates = rates
        self.point = Point(1, threads, 1)
        self.fill = min(MOST, cells // 2 // 256 * 256)
        self._found: list[float] = []
        self._left = TRIES if self.fill >= LEAST and rates.rent is None else 0

    @property
    def wanted(self) -> bool:
        """Whether it is to be measured."""
        return self._left > 0

    def ended(self, took: Sequence[float], error: str, share: float) -> None:
        """A measurement has ended: milliseconds of its steps."""
        if error in GAVE_WAY:
            return
        self._left -= 1
        low = [ms for at, ms in enumerate(took) if not at // TURN % 2]
        high = [ms for at, ms in enumerate(took) if at // TURN % 2]
        if not error and high:
            self._found.append((typical(high) - typical(low)) / self.fill)
            if share >= SHARE and not disturbed(low) and not disturbed(high):
                self._left, self._found = 0, [max(0.0, self._found[-1])]
        if not self._left and self._found and median(self._found) >= 0:
            self.rates.rent = median(self._found)
