"""The abort page: how the kernel stops a step that is under way without speaking to the engine.

A memfd, one area a core. To abort step `no` of a core the kernel sets one byte, whose place is made
from the step's number; llama.cpp's abort callback is libc's strlen on that place, so it never runs
Python. The byte of step k is not the byte of step k + 1, so an abort cannot hit the next step. The
engine clears a step's byte when the step has ended, and at each step also the byte half an area
ahead, where an abort that came too late would otherwise wait for its number to come round again.

The last byte of an area stays 0: strlen stops there.
"""

AREA = 1 << 16
CORES = 32
"""Areas there are; memory is taken only for those that are used."""
SIZE = AREA * CORES


def place(core: int, step: int) -> int:
    """The offset of a step's byte."""
    return core * AREA + step % (AREA - 1)
