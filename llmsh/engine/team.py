"""How many threads a core's step has, and on which of the machine's: all of them when it is the only
one that works, its own share when others do too.

Two cores of one thread each decode half as much again as two threads that share every step, and they
must be pinned for it. It knows no sequence. Source: sched_setaffinity(2).
"""

import os


class Team:
    """`count` cores over the CPUs that this process may use. `threads`, `threads_batch`: of a core that
    works alone, for single tokens and for prompts."""

    def __init__(self, count: int, threads: int, threads_batch: int) -> None:
        self.count = count
        self.alone = (threads, threads_batch)
        self._cpus = sorted(os.sched_getaffinity(0))
        each = max(1, len(self._cpus) // count)
        self.among = (min(threads, each), min(threads_batch, each))
        self._shares = [self._cpus[i * each : (i + 1) * each] or self._cpus for i in range(count)]

    def take(self, place: int, among: bool) -> tuple[int, int]:
        """Put the calling thread, the place-th, where its next step belongs; the step's threads.

        Threads that llama.cpp starts inherit what is set here."""
        if self.count > 1:
            os.sched_setaffinity(0, self._shares[place] if among else self._cpus)
        return self.among if among else self.alone
