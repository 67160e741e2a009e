"""How the C library gives out an engine's memory: images in pages of their own, which go back with them.

By itself glibc takes whatever is as large as anything that was ever freed from its heap, where images that come and go
leave holes that the next ones do not fit into: 160 KB for each of 240 sleepers of 2 MB, where there are 6 now.
Source: mallopt(3).
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
OWN = 1 << 20
"""Bytes from which on something has pages of its own. What a step makes and forgets is smaller."""
TOP = 64 << 20
"""Bytes at the heap's end that are kept when they are free: a step wants them again."""


def arrange() -> None:
    """For this OS process, before it takes much."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, OWN)
        mallopt(M_TRIM_THRESHOLD, TOP)
