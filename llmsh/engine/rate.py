"""How many tokens a step may have, from how long steps took. It knows numbers only.

Begins small, follows the machine, and forgets: on shared virtual cores the same step takes twice as
long a minute later.
"""

FIRST = 32
SMALLEST = 8
LARGE = 64
SMALL_COSTS = 1.25
"""What a token costs in a small batch, measured in a LARGE one in tiles: rates are for planning small ones."""
WEIGHT = 0.3


class Rate:
    """Milliseconds a token of prefill costs. `tiled`: see cachetype."""

    def __init__(self, *, tiled: bool = True) -> None:
        self._small_costs = SMALL_COSTS if tiled else 1.0
        self._ms = 0.0
        self._largest = FIRST

    def saw(self, tokens: int, ms: float) -> None:
        """A step of so many tokens took so long."""
        if ms <= 0 or tokens < 1:
            return
        each = ms / tokens * (self._small_costs if tokens >= LARGE else 1.0)
        if tokens < SMALLEST and each >= self._ms:
            return  # a token is dearest in a step of few: such a step can only show that it costs less
        self._ms = each if not self._ms else self._ms + WEIGHT * (each - self._ms)
        self._largest = max(self._largest, 2 * tokens)

    def room(self, ms: float, least: int = SMALLEST) -> int:
        """Tokens that fit into so many milliseconds; at most twice what was ever tried."""
        if not self._ms:
            return FIRST
        return max(least, min(self._largest, int(ms / self._ms)))
