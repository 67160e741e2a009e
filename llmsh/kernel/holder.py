"""Who holds cells of a core: a process's stream, or what is kept of prompts for others to begin with.

Numbers only: how many cells are its own, how many it shares, whether they lie in an image. It posts no
message; core, sharing and residence do, and write what stands here.
"""

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmsh.kernel.keeper import Branch, Keeper


class Holder:
    """A sequence of the engine, as the kernel's books have it."""

    __slots__ = (
        "base",
        "computed",
        "core",
        "held",
        "ident",
        "image",
        "indexed",
        "key",
        "log",
        "op",
        "q",
        "shared",
        "touched",
    )

    def __init__(self, ident: int, key: str) -> None:
        self.ident = ident
        self.key = key
        """Only holders of one key share cells: what one begins with could be timed by another."""
        self.log: array[int] = array("i")
        self.core = -1
        """The core that its cells are on or will be, -1 before it first runs."""
        self.void()

    def void(self) -> None:
        """The engine knows nothing of it."""
        self.q = 0
        self.op = 0
        """The operation under way, 0 for none; such a holder is quiet and is not leased."""
        self.computed = 0
        """Tokens whose keys and values exist, in cells or in an image."""
        self.held = 0
        """Cells of its own, reserved or in use."""
        self.shared = 0
        """Leading cells that are its base's."""
        self.base: Keeper | None = None
        """Whose cells come before its own; it stays while anybody is based on it."""
        self.image = 0
        """Own cells' worth of tokens saved outside the cache; then none is held."""
        self.indexed: tuple[Branch, bytes] | None = None
        """Where others find it. Written by prefixes."""
        self.touched = 0.0
        """How far the core was (see Cells.now) when somebody last had use of it."""

    def rest(self) -> None:
        """The engine is gone; an image of it lies in the swap file, for the next one."""
        computed, shared, base, image = self.computed, self.shared, self.base, self.image
        self.void()
        self.computed, self.shared, self.base, self.image = computed, shared, base, image

    def __len__(self) -> int:
        return len(self.log)

    @property
    def leased(self) -> bool:
        """Whether the engine may extend it."""
        return False

    @property
    def own(self) -> int:
        """Computed tokens that are not shared."""
        return self.computed - self.shared


def line(holder: Holder | None) -> list[Holder]:
    """A holder and all that it is based on, the last tokens first."""
    found: list[Holder] = []
    while holder is not None:
        found.append(holder)
        holder = holder.base
    return found
