"""An image: what llama.cpp saves of a slot, and behind it in which order it has the cells.

So an engine that finds an image in the swap file needs to know nothing of the one that wrote it.
"""

import struct
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

Image = np.ndarray[Any, np.dtype[np.uint8]]
_END = struct.Struct("=ii")
"""How many cells, and how many of them are listed before it: none when they are in order."""


def tail(places: Sequence[int]) -> bytes:
    """What to lay behind an image. `places`: see abi.layout.order."""
    listed = b"" if isinstance(places, range) else array("i", places).tobytes()
    return listed + _END.pack(len(places), len(listed) // array("i").itemsize)


def split(image: Image) -> tuple[Image, Sequence[int]]:
    """The bytes that are llama.cpp's, and the places. Raises ValueError for what no `tail` ends."""
    if image.nbytes < _END.size:
        raise ValueError("an image without its places")
    count, listed = _END.unpack(image[-_END.size :].tobytes())
    end = image.nbytes - _END.size - listed * array("i").itemsize
    if count < 1 or listed not in (0, count) or end < 0:
        raise ValueError("an image without its places")
    places = array("i", image[end : image.nbytes - _END.size].tobytes())
    return image[:end], places if listed else range(count)
