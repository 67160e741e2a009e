"""Which CPUs the cores of an engine work on, and which of them belong to the thread that leads a core.

A core's leader fills the batch, samples and speaks to the kernel; its other threads only compute. Both ends of
the lease protocol go by this.
"""

from collections.abc import Sequence


def share(cpus: Sequence[int], rank: int, cores: int) -> list[int]:
    """The rank-th of `cores` equal shares of the CPUs."""
    each = max(1, len(cpus) // max(1, cores))
    return list(cpus[rank * each : (rank + 1) * each])


def leaders(cpus: Sequence[int], cores: int, threads: int) -> set[int]:
    """CPUs that nothing but leaders should run on: the first of each share, when `cores` with so many `threads`
    each leave no CPU free; none where every thread is a leader, and none while a CPU is."""
    if threads < 2 or cores * threads < len(cpus):
        return set()
    return {share(cpus, rank, cores)[0] for rank in range(min(cores, len(cpus)))}
