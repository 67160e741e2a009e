"""How many threads a core's step has, and on which of the machine's CPUs.

The kernel says how many cores are to work at once, with how many threads each; until it does, a core that
works alone has all threads, and its share when others work too. Two cores of one thread each decode half
as much again as two threads that share every step, and they must be pinned for it. It knows no sequence.
Source: sched_setaffinity(2).
"""

import os
import threading
from collections.abc import Callable

from llmsh.abi.cpus import leaders, share


class Team:
    """`count` cores over the CPUs that this process may use. `threads`, `threads_batch`: of a core that
    works alone, for single tokens and for larger batches, until `set` is called. `dismiss` ends the threads that
    llama.cpp has started for the calling one."""

    def __init__(self, count: int, threads: int, threads_batch: int, dismiss: Callable[[], None]) -> None:
        self.count = count
        self._dismiss = dismiss
        self.alone = (threads, threads_batch)
        self._cpus = sorted(os.sched_getaffinity(0))
        self.cpus = min(len(self._cpus), max(threads, threads_batch, count))
        """Threads at once that this machine is good for."""
        each = max(1, len(self._cpus) // count)
        self._among = (min(threads, each), min(threads_batch, each))
        self._cores = 0
        """How many are to work at once, 0 until that is said."""
        self._told = (0, 0)
        self._ranks: dict[int, int] = {}
        """Which share each place has, the least recently used first."""
        self._helpers: dict[int, tuple[int, tuple[int, ...]]] = {}
        """By thread, how many it was with in its last step, if any, and their CPUs. A smaller team ends those who are
        too many; a larger one starts others."""
        self._places: dict[int, tuple[int, ...]] = {}
        """By thread, the CPUs it was last put on."""

    def set(self, cores: int, threads: int, threads_batch: int) -> None:
        """So many cores work at once from now on: what a step has that only generates, and one that
        computes input."""
        most = len(self._cpus)
        if cores != self._cores:
            self._ranks.clear()
        self._cores = max(1, min(cores, self.count))
        self._told = (max(1, min(threads, most)), max(1, min(threads_batch, most)))

    def threads(self, busy: int, size: int, prompt: bool) -> int:
        """Threads of a step of `size` tokens while `busy` cores work; `prompt`: it computes input."""
        if self._cores:
            return self._told[prompt]
        return (self.alone if busy < 2 else self._among)[size > 1]

    def pin(self, place: int, busy: int, threads: int) -> None:
        """Put the calling thread, the place-th, where its next step belongs."""
        if not self._cores:
            # Each place always has the same share.
            self.put(place, self.count if busy > 1 else 1, threads)
        else:
            self.put(self._rank(place), self._cores, threads)

    def _rank(self, place: int) -> int:
        """A place keeps its share as long as it uses it: in a pause of one core the others stay where they are."""
        rank = self._ranks.pop(place, -1)
        if rank < 0:
            taken = {*self._ranks.values()}
            free = [each for each in range(self._cores) if each not in taken]
            rank = free[0] if free else self._ranks.pop(next(iter(self._ranks)))
        self._ranks[place] = rank
        return rank

    def put(self, rank: int, cores: int, threads: int) -> None:
        """Put the calling thread on the rank-th of `cores` equal shares, or on all when it needs more; on the first
        CPU of its share once the threads that help it are there.

        Those are started by llama.cpp in a step, and inherit what is set here."""
        mine = share(self._cpus, rank, cores)
        me, first = threading.get_ident(), mine[:1]
        wide = tuple(self._cpus if cores < 2 or threads > len(mine) else mine)
        there, where = self._helpers.get(me, (0, wide))
        led = there >= threads and where == wide and not leaders(self._cpus, cores, threads).isdisjoint(first)
        if threads > 1:
            self._helpers[me] = (threads, wide)
        else:
            self.dismiss()
        place = tuple(first) if led else wide
        if self._places.get(me, tuple(self._cpus)) != place:
            self._places[me] = place
            os.sched_setaffinity(0, place)

    @property
    def helped(self) -> bool:
        """Whether there are threads that help the calling one."""
        return threading.get_ident() in self._helpers

    def dismiss(self) -> None:
        """The calling thread needs no help for a while: those that wait for its next step are in the way of others."""
        if self._helpers.pop(threading.get_ident(), None) is not None:
            self._dismiss()
