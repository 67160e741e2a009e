"""Waits until descriptors can be read, by poll(2): select(2) knows none above 1023, and a caller's limit may be higher.

It reads nothing.
"""

import select

_LONGEST_MS = (1 << 31) - 1
"""What poll(2) takes: 24 days. Who waits for longer asks again."""


def readable(*descriptors: int, seconds: float | None = None) -> set[int]:
    """Those that can be read, or are at their end. None once the time is over, or 24 days are; without
    `seconds` it waits for as long as it takes."""
    poller = select.poll()
    for fd in descriptors:
        poller.register(fd, select.POLLIN)
    return {fd for fd, _ in poller.poll(None if seconds is None else min(seconds * 1000, _LONGEST_MS))}
