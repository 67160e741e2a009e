"""Time as the kernel sees it: monotonic seconds and timers. The loop's clock and the false one of
the tests both fit. It knows no wall time; stamps of records come from `wall`."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> None:
        """Never call it; legal at any time."""


class Clock(Protocol):
    """CLOCK_MONOTONIC, so that neither a suspend nor a set clock is taken for a hang."""

    def now(self) -> float:
        """Seconds since some fixed point."""

    def wall(self) -> float:
        """Seconds since the epoch, for people."""

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call once, `seconds` from now, on the kernel's thread."""
