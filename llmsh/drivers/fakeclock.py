"""A clock that stands still until it is told to go on: the time of every kernel test.

It knows no thread and no real time; calls that are due together are made in the order they were asked for.
"""

import heapq
from collections.abc import Callable

STILL_MAX = 100_000
"""Calls at one moment of the clock before it is taken for an endless loop."""


class FakeTimer:
    """A call to come; cancelled ones are skipped when their time comes."""

    __slots__ = ("call", "cancelled", "order", "when")

    def __init__(self, when: float, order: int, call: Callable[[], object]) -> None:
        self.when = when
        self.order = order
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """Forget the call."""
        self.cancelled = True

    def __lt__(self, other: "FakeTimer") -> bool:
        return (self.when, self.order) < (other.when, other.order)


class FakeClock:
    """Implements kernel.clock.Clock. `advance` makes the calls that fall due, each at its own time."""

    def __init__(self, start: float = 1000.0, epoch: float = 1_700_000_000.0) -> None:
        self._now = start
        self._offset = epoch - start
        self._heap: list[FakeTimer] = []
        self._order = 0
        self._still = 0

    def now(self) -> float:
        """Seconds on this clock."""
        return self._now

    def wall(self) -> float:
        """Seconds since an epoch of its own."""
        return self._now + self._offset

    def call_later(self, seconds: float, call: Callable[[], object]) -> FakeTimer:
        """Make the call once the clock has gone on by `seconds`."""
        self._order += 1
        timer = FakeTimer(self._now + max(0.0, seconds), self._order, call)
        heapq.heappush(self._heap, timer)
        return timer

    @property
    def pending(self) -> int:
        """Calls that are still to come."""
        return sum(not timer.cancelled for timer in self._heap)

    def _next(self, until: float) -> FakeTimer | None:
        while self._heap and self._heap[0].cancelled:
            heapq.heappop(self._heap)
        if self._heap and self._heap[0].when <= until:
            return heapq.heappop(self._heap)
        return None

    def step(self, until: float = float("inf")) -> bool:
        """Make the one call that is due next, at its time; False when none is due by `until`."""
        timer = self._next(until)
        if timer is None:
            return False
        self._still = 0 if timer.when > self._now else self._still + 1
        if self._still > STILL_MAX:
            raise AssertionError(f"{STILL_MAX} calls at one moment: something calls itself without end")
        self._now = max(self._now, timer.when)
        timer.call()
        return True

    def settle(self) -> None:
        """Make every call that is due at this very moment, those that they ask for included."""
        while self.step(self._now):
            pass

    def advance(self, seconds: float) -> None:
        """Go on by `seconds`; the calls due on the way are made in order."""
        until = self._now + seconds
        while self.step(until):
            pass
        self._now = until

    def run_until(self, done: Callable[[], object], seconds: float = 3600.0) -> None:
        """Go on, one call at a time, until `done()`. AssertionError when it is not by then."""
        until = self._now + seconds
        while not done():
            if not self.step(until):
                raise AssertionError(f"not done after {seconds} s, or nothing more to come")

    def run_until_idle(self, seconds: float = 3600.0) -> None:
        """Go on until no call is to come, for at most `seconds`."""
        until = self._now + seconds
        while self.step(until):
            pass
