"""The CPUs that the daemon itself runs on: not those of threads that lead an engine's cores, as long as it has others.

A step is told of by its leader, whose message wakes the daemon; the machine's scheduler takes that for a
hand-over and puts the daemon on the leader's CPU, where it holds up the next step of all threads. On another CPU
it takes from a thread that waits for the leader in any case. Source: sched_setaffinity(2).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


class Household:
    """Of this process. `cpus` are those that it was started on."""

    def __init__(self, cpus: Sequence[int]) -> None:
        self.cpus = sorted(cpus)
        self._leaders: dict[str, set[int]] = {}

    def lead(self, engine: str, cpus: set[int]) -> None:
        """An engine's leaders are on these from now on."""
        if self._leaders.get(engine, set()) == cpus:
            return
        self._leaders[engine] = cpus
        for thread in os.listdir("/proc/self/task"):
            _put(int(thread), self._own)

    @contextmanager
    def away(self) -> Iterator[None]:
        """For starting a child, which inherits the CPUs of the thread that starts it."""
        _put(0, self.cpus)
        try:
            yield
        finally:
            _put(0, self._own)

    @property
    def _own(self) -> set[int]:
        return {*self.cpus} - set().union(*self._leaders.values()) or {*self.cpus}


def _put(thread: int, cpus: set[int] | list[int]) -> None:
    with suppress(OSError):  # it has just ended, or the CPUs were taken away from us: it stays where it is
        os.sched_setaffinity(thread, cpus)
