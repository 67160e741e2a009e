"""Notices an engine that owes something and is silent. What to do about it is the host's.

Intervals are of the monotonic clock, which stands still while the machine sleeps.
"""

from collections.abc import Callable

from llmsh.kernel.clock import Clock, Timer

SILENCE_S = 10.0
"""A silent engine with work to do is dead after max(this, 20 steps)."""
ASKED_S = 60.0
"""One that has only requests to answer: a large template or schema takes a while."""
LOAD_S, LOAD_BYTES = 600.0, 1 << 20
"""One that loads its model: so long, and a second for so many bytes. A disk that is slower than that hangs."""


class Watchdog:
    """Looks now and then while `patience` gives seconds, not 0, and calls `bite` with how long it was silent.

    `since` gives when whoever owes something was last heard: of several cores, one may hang alone."""

    def __init__(
        self, clock: Clock, patience: Callable[[], float], since: Callable[[], float], bite: Callable[[float], None]
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._since = since
        self._bite = bite
        self.last = clock.now()
        """When anything was last heard."""
        self._slowest = 0.0
        self._timer: Timer | None = None

    def heard(self) -> None:
        """It has said something, or is owed for only from now on."""
        self.last = self._clock.now()

    def stepped(self, ms: float) -> None:
        """A step took so long."""
        self._slowest = max(ms / 1000, self._slowest * 0.99)

    @property
    def step_patience(self) -> float:
        """How long the next step may take, in seconds."""
        return max(SILENCE_S, self._slowest * 20)

    @property
    def reply_patience(self) -> float:
        """How long an engine that only owes replies may take, in seconds."""
        return ASKED_S

    @staticmethod
    def load_patience(size: int) -> float:
        """How long an engine may take to load so many bytes, in seconds."""
        return LOAD_S + size / LOAD_BYTES

    def watch(self) -> None:
        """Begin to look, if there is anything to look for."""
        if self._timer is None and self._patience():
            self._timer = self._clock.call_later(SILENCE_S / 2, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        silence = self._clock.now() - self._since()
        if silence > (self._patience() or silence):
            self._bite(silence)
        self.watch()
