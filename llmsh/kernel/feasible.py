"""Where goals with a deadline run, and when they end there: the earliest deadline first, each on the core where it
ends first. Pure: it knows no core and no process.

The same function admits goals (goals.py) and places them (balance.py), so what was found feasible is what is done.
On one core it is exact (Liu and Layland, 1973); on several it refuses some sets that another order would meet
(Dhall and Liu, Operations Research 26, 1978).
"""

from collections.abc import Sequence
from typing import NamedTuple

AFFINE = 0.05
"""A goal stays on its core if it would not end sooner on another by this part of its work."""


class Job(NamedTuple):
    """A goal. `work`: what it takes alone on a core, in units of `due`; `core`: where it is, -1 for nowhere yet;
    `fixed`: it stays there."""

    due: float
    work: float
    core: int = -1
    fixed: bool = False


class Place(NamedTuple):
    """Where a goal runs, and when it has ended."""

    core: int
    end: float


def assign(jobs: Sequence[Job], free: Sequence[float]) -> list[Place]:
    """The places of jobs, in their order; of those due together, the first is first. `free`: by core, from when on
    it can serve goals."""
    at = list(free)
    places: dict[int, Place] = {}
    crowd = [sum(job.core == core for job in jobs) for core in range(len(at))]
    for index in sorted(range(len(jobs)), key=lambda each: jobs[each].due):
        job = jobs[index]
        core = min(range(len(at)), key=lambda each: (at[each], crowd[each]))
        if 0 <= job.core < len(at) and (job.fixed or at[job.core] - at[core] <= AFFINE * job.work):
            core = job.core
        at[core] += job.work
        places[index] = Place(core, at[core])
    return [places[index] for index in range(len(jobs))]


def missed(jobs: Sequence[Job], free: Sequence[float]) -> tuple[int, float] | None:
    """The first job, by due time, that would miss its time because of the last one, and when it would end."""
    ends, without = assign(jobs, free), assign(jobs[:-1], free)
    late = [
        (job.due, index)
        for index, job in enumerate(jobs)
        if ends[index].end > job.due and (index == len(without) or without[index].end <= job.due)
    ]
    return (min(late)[1], ends[min(late)[1]].end) if late else None
