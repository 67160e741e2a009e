"""What it costs to lie idle in the cells, and what to leave them and come back: numbers only.

Every step of a core pays for the cells up to the highest that is used, whoever owns them. So an idle holder is
like a rented boat: once as much rent was paid as buying costs, it is bought. That is never worse than twice the
best that could have been done by who knows the future. Source: ski rental, Karlin et al., Algorithmica 3 (1988).
"""

RENT_MS = 0.0004
"""Milliseconds that an idle cell adds to a step, until it is measured: SmolLM2 Q4_1, one thread, 14,000 cells."""
COPY_MS = 0.0027
"""Milliseconds of a cell's way to an image and back, until it is measured."""
FIXED_MS = 0.3
"""What a SAVE and a LOAD cost beside the copying."""
SAMPLE_MIN = 64
"""Cells of a copy that says anything about the rate."""
WEIGHT = 0.2


class Tax:
    """Rates of one device, followed as copies are made."""

    def __init__(self) -> None:
        self.rent = RENT_MS
        self.copy = COPY_MS

    def copied(self, cells: int, ms: float) -> None:
        """One way to or from an image took so long."""
        if cells >= SAMPLE_MIN and ms > 0:
            self.copy += WEIGHT * (2 * ms / cells - self.copy)

    def due(self, cells: int, steps: int) -> bool:
        """Whether so many idle cells have paid for so many steps what it costs to leave and to return."""
        return cells * steps * self.rent >= FIXED_MS + cells * self.copy
