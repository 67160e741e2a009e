"""Fills a core's cache for a measurement: cells that nobody has, copies of one that was computed.

They are in no book: whoever obeys a message in that core empties it first. It knows no time.
"""

from llmsh.engine.cache import Residents
from llmsh.engine.image import Image

SLOTS = 3
"""The last of the scratch slots: what is piled up, what is being made, what is being loaded."""
LARGEST = 6
"""Images of up to 2 to the power of this cells are made: larger ones save no time, and take memory."""


def fill(home: Residents, seed: Image | None, count: int) -> None:
    """Fill so many more cells; `seed` is an image of one. The caller knows that there is room."""
    assert seed is not None, "nothing to fill with"
    pile, work, _ = home.scratch[-SLOTS:]
    images = [seed]
    while len(images) <= LARGEST and 1 << len(images) <= count:
        _load(home, images[-1], work)
        _load(home, images[-1], work)
        images.append(home.core.save(work))
        home.core.remove(work, 0)
    for power, image in reversed(list(enumerate(images))):
        for _ in range(count >> power):
            _load(home, image, pile)
        count -= count >> power << power


def _load(home: Residents, image: Image, slot: int) -> None:
    """One image more in a slot. LOAD begins by emptying the slot it goes to, so it goes to another."""
    shuttle = home.scratch[-1]
    done = home.core.load(shuttle, image)
    assert done, "no room, where there was"
    home.core.share(shuttle, slot, 0, -1)
    home.core.remove(shuttle, 0)


def empty(home: Residents) -> None:
    """Nothing of it is left."""
    home.core.remove(home.scratch[-SLOTS], 0)
