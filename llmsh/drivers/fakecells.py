"""The cells of the fake engine's one core: counted, shared and given back.

A cell is a number; a sequence holds a list of them, one a position, in order. It knows no sequence.
"""


class Cells:
    """`total` cells; each is free, or held by one or more sequences."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._held: dict[int, int] = {}
        self._free = list(range(total - 1, -1, -1))

    @property
    def used(self) -> int:
        """Cells that somebody holds."""
        return self.total - len(self._free)

    @property
    def free(self) -> int:
        """Cells that nobody holds."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """`count` free cells; the caller has looked that there are as many."""
        out = [self._free.pop() for _ in range(count)]
        for cell in out:
            self._held[cell] = 1
        return out

    def share(self, cells: list[int]) -> list[int]:
        """The same cells for one more holder."""
        for cell in cells:
            self._held[cell] += 1
        return list(cells)

    def give(self, cells: list[int]) -> None:
        """One holder lets go of these."""
        for cell in cells:
            self._held[cell] -= 1
            if not self._held[cell]:
                del self._held[cell]
                self._free.append(cell)

    def check(self, holdings: list[list[int]]) -> list[str]:
        """Faults of the books against what the holders say they hold."""
        count: dict[int, int] = {}
        for cells in holdings:
            for cell in cells:
                count[cell] = count.get(cell, 0) + 1
        faults = (
            [] if count == self._held else [f"cells: {len(count)} held by sequences, {len(self._held)} in the books"]
        )
        if len(self._free) + len(self._held) != self.total:
            faults.append(f"cells: {len(self._free)} free and {len(self._held)} held of {self.total}")
        return faults
