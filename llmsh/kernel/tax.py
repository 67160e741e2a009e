"""What it costs to lie idle in the cells, and what to leave them and come back: numbers only.

Every step of a core pays for the cells up to the highest that is used, whoever owns them. So an idle holder is
like a rented boat: once as much rent was paid as buying costs, it is bought. That is never worse than twice the
best that could have been done by who knows the future. Source: ski rental, Karlin et al., Algorithmica 3 (1988).
"""

RENT_MS = 0.0004
"""Milliseconds that a cell adds to a step for each token that it makes, until it is measured: SmolLM2, one thread."""
COPY_MS = 0.0027
"""Milliseconds of a cell's way to an image and back, until it is measured."""
FIXED_MS = 0.3
"""What a SAVE and a LOAD cost beside the copying."""
SAMPLE_MIN = 64
"""Cells of a copy that says anything about the rate."""
WEIGHT = 0.2
BLOCK = 256
"""llama.cpp's attention goes over cells in blocks of so many."""
PAUSE_MS = 4.0
"""What a pause between two steps may be longer for closing a hole."""


class Tax:
    """Rates of one device, followed as copies are made."""

    def __init__(self) -> None:
        self.rent = RENT_MS
        self.copy = COPY_MS
        self.block = BLOCK

    def copied(self, cells: int, ms: float) -> None:
        """One way to or from an image took so long."""
        if cells >= SAMPLE_MIN and ms > 0:
            self.copy += WEIGHT * (2 * ms / cells - self.copy)

    def moving(self, cells: int) -> float:
        """Milliseconds that it takes so many cells to leave and to return."""
        return FIXED_MS + cells * self.copy

    def blocks(self, cells: int) -> int:
        """What a step goes over when so many cells are to be seen."""
        return -(-cells // self.block)

    @property
    def pause(self) -> int:
        """Cells that can be moved in one pause."""
        return max(SAMPLE_MIN, int(PAUSE_MS / self.copy))

    def due(self, cells: int, tokens: float) -> bool:
        """Whether so many idle cells have paid in steps of so many tokens what it costs to leave and to return."""
        return cells * tokens * self.rent >= self.moving(cells)
