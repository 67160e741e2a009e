"""Where in a core's cache cells lie: always the lowest free ones first, as in llama.cpp's unified cache.

llama.cpp searches from a head that is set behind what was placed and back to the first cell that is freed. So all
cells below its head are taken, and what is placed gets the lowest free cells, in the order of the batch. Its
attention goes over all cells up to the highest used one, whoever has it. A real engine keeps this beside
llama.cpp, whose interface does not tell; the fake one has nothing else. It knows slots (holdings by number),
positions and cells, no sequence. Source: find_slot, seq_rm and get_n_kv in llama.cpp's llama-kv-cache.cpp.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple


class Run(NamedTuple):
    """Cells at positions start … end - 1 that the same slots hold."""

    slots: tuple[int, ...]
    start: int
    end: int


def order(cells: Sequence[int]) -> Sequence[int]:
    """Which of these cells is the first in an image, which the second…: llama.cpp saves them as they lie."""
    found = sorted(range(len(cells)), key=cells.__getitem__)
    same = range(len(cells))
    return same if found == list(same) else array("i", found)


def placed(sizes: Sequence[int], abreast: bool) -> Iterator[tuple[int, int]]:
    """In which order the parts of a batch, one a sequence, get their cells: (part, how many of its tokens).

    One behind the other; or `abreast`, where a model keeps states: as many tokens of each as the shortest has,
    then the same with what is left. Source: split_simple and split_equal in llama.cpp's llama-batch.cpp."""
    left = list(enumerate(sizes))
    while abreast and len(left) > 1:
        count = min(size for _, size in left)
        yield from ((part, count) for part, _ in left)
        left = [(part, size - count) for part, size in left if size > count]
    yield from left


class Layout:
    """`total` cells; each is free, or held by one or more."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self.highest = 0
        """Cells up to the highest used one, which every step goes over."""
        self._taken = bytearray(total)
        self._holders = array("H", bytes(2 * total))
        self._first = 0
        """No cell below it is free."""

    @property
    def free(self) -> int:
        """Cells that nobody holds."""
        return self.total - self.used

    def take(self, count: int) -> "array[int]":
        """`count` free cells for one holder; the caller knows that there are as many."""
        out, at = array("i"), self._first
        for _ in range(count):
            at = self._taken.find(0, at)
            assert at >= 0, "no free cell"
            self._taken[at] = self._holders[at] = 1
            out.append(at)
            at += 1
        self._first = at
        self.used += count
        self.highest = max(self.highest, at if count else 0)
        return out

    def share(self, cells: "array[int]") -> "array[int]":
        """The same cells for one more holder."""
        for cell in cells:
            self._holders[cell] += 1
        return cells[:]

    def give(self, cells: Iterable[int]) -> None:
        """One holder lets go of these."""
        for cell in cells:
            self._holders[cell] -= 1
            if not self._holders[cell]:
                self._taken[cell] = 0
                self.used -= 1
                self._first = min(self._first, cell)
        if self.highest and not self._taken[self.highest - 1]:
            self.highest = self._taken.rfind(1) + 1

    def put(self, sequence: Sequence[int]) -> "array[int]":
        """Cells for an image whose cells come in this order (see `order`), by position."""
        taken = self.take(len(sequence))
        out = taken[:]
        for cell, at in zip(taken, sequence, strict=True):
            out[at] = cell
        return out

    # Holes.

    def above(self, holdings: "Mapping[int, array[int]]", most: int) -> list[Run]:
        """The `most` highest of the cells that lie higher than they would if there were no hole."""
        slots: dict[int, list[int]] = {}
        places: dict[int, int] = {}
        for slot, cells in holdings.items():
            if not cells or max(cells) < self.used:
                continue
            for at, cell in enumerate(cells):
                if cell >= self.used:
                    slots.setdefault(cell, []).append(slot)
                    places[cell] = at
        runs: list[Run] = []
        for who, at in sorted((tuple(slots[cell]), places[cell]) for cell in sorted(slots)[-most:]):
            if runs and runs[-1].slots == who and runs[-1].end == at:
                runs[-1] = Run(who, runs[-1].start, at + 1)
            else:
                runs.append(Run(who, at, at + 1))
        return runs

    def move(self, run: Run, holdings: "Mapping[int, array[int]]") -> None:
        """The cells of a run are saved, given up and put into the lowest free ones, for all who hold them."""
        part = slice(run.start, run.end)
        cells = holdings[run.slots[0]][part]
        for _ in run.slots:
            self.give(cells)
        placed = self.put(order(cells))
        for slot in run.slots:
            holdings[slot][part] = placed
        for _ in run.slots[1:]:
            self.share(placed)

    def check(self, holdings: "Iterable[Sequence[int]]") -> list[str]:
        """Faults of the books against what the holders have."""
        count = [0] * self.total
        for cells in holdings:
            for cell in cells:
                count[cell] += 1
        faults = []
        wrong = sum(has != self._holders[cell] for cell, has in enumerate(count))
        if wrong:
            faults.append(f"{wrong} cells with other holders than in the books")
        used = [cell for cell, has in enumerate(count) if has]
        if len(used) != self.used:
            faults.append(f"{len(used)} cells held, {self.used} in the books")
        if self.highest != (used[-1] + 1 if used else 0):
            faults.append(f"highest is {used[-1:]}, {self.highest} in the books")
        if not all(count[: self._first]):
            faults.append(f"a cell below {self._first} is free")
        return faults
