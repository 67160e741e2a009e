"""The kernel's clock on asyncio: its loop's time is CLOCK_MONOTONIC, which a set clock and a suspend leave alone."""

import asyncio
import time
from collections.abc import Callable


class LoopClock:
    """Implements kernel.clock.Clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        """Seconds since some fixed point."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.Handle:
        """Call once, `seconds` from now; calls for this moment are made in the order they are asked for."""
        return self._loop.call_later(seconds, call) if seconds > 0 else self._loop.call_soon(call)
