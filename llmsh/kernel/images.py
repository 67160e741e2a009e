"""Images that lie in the engine's memory: who has which, how many bytes they take together, which are on their way
to the file. Holders that were forked of one another in swap have one image between them, and it counts once.

It decides nothing and posts nothing: swap does.
"""

from collections import OrderedDict
from collections.abc import Iterator

from llmsh.kernel.holder import Holder


class Image:
    """Bytes, and how many holders have them."""

    __slots__ = ("holders", "leaving", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.holders = 0
        self.leaving = 0
        """How many of the holders are being written; the bytes are free when all have been."""


class Images:
    """Of one device. A holder that leaves is still in memory, until it is taken away."""

    def __init__(self) -> None:
        self.used = 0
        """Bytes."""
        self.leaving = 0
        """Bytes of them that will be free once all that is being written has been."""
        self._staying: OrderedDict[Holder, Image] = OrderedDict()
        """The first saved first."""
        self._leaving: dict[Holder, Image] = {}
        self._copies: dict[Holder, Image] = {}
        """Whose image a child will have that the engine is forking."""

    def __contains__(self, holder: Holder) -> bool:
        return holder in self._staying or holder in self._leaving

    def __iter__(self) -> Iterator[Holder]:
        """Who has one that is not on its way out, the first saved first; it may change meanwhile."""
        return iter(list(self._staying))

    def __len__(self) -> int:
        return len(self._staying) + len(self._leaving)

    def size(self, holder: Holder) -> int:
        """Bytes of its image, 0 when it has none here."""
        image = self._staying.get(holder) or self._leaving.get(holder)
        return image.size if image is not None else 0

    def forked(self, parent: Holder, child: Holder) -> None:
        """The child will have the parent's image, once it is put."""
        self._copies[child] = self._staying[parent]

    def put(self, holder: Holder, size: int) -> None:
        """It has an image from now on, its own or its parent's."""
        image = self._copies.pop(holder, None) or Image(size)
        self.take(holder)
        if not image.holders:
            self.used += image.size
        self._count(image, 1, 0)
        self._staying[holder] = image

    def leave(self, holder: Holder) -> None:
        """Its image is being written."""
        image = self._leaving[holder] = self._staying.pop(holder)
        self._count(image, 0, 1)

    def take(self, holder: Holder) -> bool:
        """It has no image here any more; whether it had."""
        self._copies.pop(holder, None)
        image, leaving = self._staying.pop(holder, None), 0
        if image is None:
            image, leaving = self._leaving.pop(holder, None), 1
        if image is None:
            return False
        self._count(image, -1, -leaving)
        if not image.holders:
            self.used -= image.size
        return True

    def _count(self, image: Image, holders: int, leaving: int) -> None:
        before = _goes(image)
        image.holders += holders
        image.leaving += leaving
        self.leaving += (_goes(image) - before) * image.size

    def check(self) -> list[str]:
        """Faults in the books."""
        images = {id(each): each for each in (*self._staying.values(), *self._leaving.values())}.values()
        used, leaving = sum(each.size for each in images), sum(each.size for each in images if _goes(each))
        faults = []
        if (used, leaving) != (self.used, self.leaving):
            faults.append(
                f"{self.used} bytes of images in the books, {self.leaving} leaving; {used} and {leaving} held"
            )
        none = [each for each in (*self._staying, *self._leaving) if not each.image]
        return faults + [f"holder {each.ident}: an image in memory, and none" for each in none]


def _goes(image: Image) -> bool:
    """Whether it takes memory that it will not take for long."""
    return 0 < image.holders == image.leaving
