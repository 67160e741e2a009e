"""Which sequence holds which cells of which core: slots, the layout, images, and cores made when wanted.

It calls llama.cpp through core.py and knows no lease. What a sequence has `computed`, its `slot` and
its `cells` are written here only.
"""

from array import array
from collections.abc import Callable

from llmsh.abi.errors import Error
from llmsh.abi.layout import Layout, order
from llmsh.abi.lease import EXACT
from llmsh.engine.core import SCRATCH, Core
from llmsh.engine.image import Image, split, tail
from llmsh.engine.sequence import Sequence


class Residents:
    """One core with its free slots and its layout."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.layout = Layout(core.cells)
        self.free = list(range(core.slots - 1, -1, -1))
        self.scratch = list(range(core.slots, core.slots + SCRATCH))
        self.holders: dict[int, array[int]] = {}
        """Slot to its cells, by position."""

    def cut(self, sequence: Sequence, keep: int) -> None:
        """The books of a sequence that has lost its cells from position `keep` on."""
        self.layout.give(sequence.cells[keep:])
        del sequence.cells[keep:]
        sequence.computed = keep


class Cache:
    """The cores of an engine: `count` of them and EXACT; all but the first are made when first wanted,
    and EXACT goes when it is not. `share`: whether this model's cells can be shared and cut."""

    def __init__(self, make: Callable[[int], Core], count: int, context: int, share: bool) -> None:
        self.cores: dict[int, Residents] = {0: Residents(make(0))}
        self.context = context
        self._make = make
        self._count = count
        self.share = share
        self._steps: dict[int, int] = {}
        """Steps of a core that was given back: numbers go on when it is made again."""

    def exists(self, index: int) -> bool:
        """Whether there is such a core, made or not."""
        return 0 <= index < self._count or index == EXACT

    def home(self, sequence: Sequence) -> Residents:
        """The core of a sequence. Raises Error ENOMEM, ENODEV."""
        return self.cores.get(sequence.core) or self.made(sequence.core)

    def made(self, index: int) -> Residents:
        """A core that is wanted for the first time. Raises Error ENOMEM, ENODEV."""
        if not self.exists(index):
            raise Error("ENODEV", f"no core {index}")
        found = self.cores[index] = Residents(self._make(index))
        found.core.no = self._steps.get(index, 0)
        return found

    def highest(self, index: int) -> int:
        """Cells of a core up to the highest one in use; 0 for one that is not made."""
        home = self.cores.get(index)
        return home.layout.highest if home is not None else 0

    def give_back(self, index: int) -> None:
        """A core that nobody holds anything of goes; it is made again when it is wanted."""
        home = self.cores.get(index)
        if home is not None and not home.holders:
            self._steps[index] = home.core.no
            home.core.close()
            del self.cores[index]

    def enter(self, sequence: Sequence) -> None:
        """A slot for a sequence. Raises Error EAGAIN when none is free."""
        if sequence.slot is not None:
            return
        home = self.home(sequence)
        if not home.free:
            raise Error("EAGAIN", f"all {home.core.slots} slots of core {sequence.core} are taken")
        sequence.slot = home.free.pop()
        home.holders[sequence.slot] = sequence.cells

    def grow(self, sequence: Sequence, end: int) -> None:
        """A step has computed the log before `end`."""
        sequence.cells += self.home(sequence).layout.take(end - sequence.computed)
        sequence.computed = end

    def trim(self, sequence: Sequence, keep: int) -> None:
        """Let go of the cells from position `keep` on; also of cells that a failed step left there.
        A cache that cannot be cut lets go of all, and the log is computed again."""
        if sequence.slot is None:
            return
        home = self.home(sequence)
        keep = min(keep, sequence.computed)
        if keep < sequence.computed and not self.share:
            keep = 0
        if not home.core.remove(sequence.slot, keep):
            keep = 0
            home.core.remove(sequence.slot, 0)
        home.cut(sequence, keep)

    def fork(self, parent: Sequence, child: Sequence) -> None:
        """Share what the parent has computed of the child's log, or its image. A cache that cannot share,
        or an exact parent, leaves the child to compute."""
        if parent.saved >= 0:
            if len(child.log) == len(parent.log) and not parent.spilled:
                child.image, child.saved, child.saved_at = parent.image, parent.saved, parent.saved_at
            return
        end = min(parent.computed, len(child.log))
        if parent.slot is None or parent.exact or not self.share or end < 1:
            return
        if self.home(parent).free:
            self._share_cells(parent, child, end)

    def _share_cells(self, parent: Sequence, child: Sequence, end: int) -> None:
        home = self.home(parent)
        self.enter(child)
        assert parent.slot is not None  # the caller looked
        assert child.slot is not None  # enter gave it
        home.core.share(parent.slot, child.slot, 0, end)
        child.cells += home.layout.share(parent.cells[:end])
        child.computed = end

    def vacate(self, sequence: Sequence) -> None:
        """A sequence without cells needs no slot."""
        if sequence.slot is not None and not sequence.computed:
            self._release(sequence)

    def leave(self, sequence: Sequence) -> None:
        """Give up cells, slot and image."""
        sequence.forget_image()
        if sequence.slot is not None:
            self._release(sequence)

    def _release(self, sequence: Sequence) -> None:
        assert sequence.slot is not None  # both callers looked
        home = self.home(sequence)
        home.core.remove(sequence.slot, 0)
        home.cut(sequence, 0)
        del home.holders[sequence.slot]
        home.free.append(sequence.slot)
        home.free.sort(reverse=True)
        sequence.slot = None

    def save(self, sequence: Sequence, at: int = 0) -> str:
        """Move the cells from `at` on to an image, let go of those before; empty, or what is wrong."""
        if sequence.saved >= 0:
            return ""
        image, computed = None, sequence.computed
        if sequence.slot is not None and computed > at:
            image = self._image(self.home(sequence), sequence.slot, at, tail(order(sequence.cells[at:])))
            if not image.size:
                return "the cells cannot be saved"
        self.leave(sequence)
        sequence.image, sequence.saved, sequence.saved_at = image, computed, min(at, computed)
        return ""

    def _image(self, home: Residents, slot: int, at: int, places: bytes) -> Image:
        """A slot's cells from `at` on: by way of a scratch slot, since llama.cpp saves whole slots."""
        if not at:
            return home.core.save(slot, places)
        scratch = home.scratch[-1]
        home.core.share(slot, scratch, at, -1)
        image = home.core.save(scratch, places)
        home.core.remove(scratch, 0)
        return image

    def clip(self, sequence: Sequence, keep: int) -> None:
        """An image is to hold no position from `keep` on; one that cannot be cut is worth nothing then."""
        if keep < sequence.saved:
            sequence.saved = keep if self.share else 0

    def load(self, sequence: Sequence, donor: Sequence | None = None) -> str:
        """Put the image back, behind the cells of `donor`; empty, or what is wrong (the image is kept then)."""
        if sequence.saved < 0:
            return "no image"
        if sequence.spilled:
            return "its image is in the swap file"
        image, keep, at = sequence.image, sequence.saved, min(sequence.saved_at, sequence.saved)
        if at and (donor is None or donor.slot is None or donor.computed < at or donor.core != sequence.core):
            return f"nobody has the {at} cells before the image"
        try:
            if keep:
                self.enter(sequence)
        except Error as exc:
            return exc.detail
        if at:
            assert donor is not None  # looked at above
            self._share_cells(donor, sequence, at)
        if image is not None and keep > at:
            home = self.home(sequence)
            error = self._put(home, sequence, image, at)
            if error:
                self._release(sequence)
                return error
            home.cut(sequence, keep)
        sequence.forget_image()
        return ""

    def _put(self, home: Residents, sequence: Sequence, image: Image, at: int) -> str:
        """An image into a slot, behind what is there; the log may have been cut since. Empty, or what is wrong."""
        assert sequence.slot is not None  # the caller entered it
        try:
            data, places = split(image)
        except ValueError as exc:
            return str(exc)
        if len(places) < sequence.saved - at:
            return "an image of too few cells"
        if not at:
            done = home.core.load(sequence.slot, data)
        else:
            scratch = home.scratch[-1]
            done = home.core.load(scratch, data)
            if done:
                home.core.share(scratch, sequence.slot, at, -1)
            home.core.remove(scratch, 0)
        home.core.remove(sequence.slot, sequence.saved)
        if not done:
            return "no room for the image"
        sequence.cells += home.layout.put(places)
        return ""

    def shrink(self, sequences: dict[int, Sequence]) -> None:
        """EXACT goes when nobody is left who belongs there."""
        if not any(each.core == EXACT for each in sequences.values()):
            self.give_back(EXACT)

    def move(self, sequence: Sequence, core: int, at: int = 0) -> str:
        """Make it one of another core, its cells from `at` on an image; empty, or what is wrong."""
        if not self.exists(core) or EXACT in (core, sequence.core):
            return f"no way from core {sequence.core} to core {core}"
        error = self.save(sequence, at)
        if not error:
            sequence.core = core
            if not sequence.saved:  # nothing was computed: there is nothing to load
                sequence.forget_image()
        return error

    def check(self) -> list[str]:
        """Faults of the books."""
        faults: list[str] = []
        for index, home in self.cores.items():
            faults += [f"core {index}: {fault}" for fault in home.layout.check(home.holders.values())]
            if len(home.free) + len(home.holders) != home.core.slots:
                faults.append(f"core {index}: {len(home.free)} slots free and {len(home.holders)} held")
        return faults
