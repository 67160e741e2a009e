"""What each model deserves of a machine that several share, the sum of what its processes deserve; and which part of
that of a session is to be had on it.

Sessions first, then the processes of each by nice, wherever they run: forty processes of one session on one model
deserve as much as one process of another session on another. The foreground counts eight times, as under `fair`.
It knows no host and no clock.
"""

from collections.abc import Collection, Iterable

from llmsh.abi.nice import HIGHEST, LOWEST, weight
from llmsh.kernel.sched import Task
from llmsh.kernel.sched.policy import FOREGROUND

LEAST = 1 / 32
"""The least part: what a session was charged by it is not undone when it changes."""


_WEIGHTS = {nice: weight(nice) for nice in range(LOWEST, HIGHEST + 1)}


def _sums(tasks: Iterable[Task]) -> dict[str, float]:
    """By session, the weights of its tasks; the foreground is not counted for more."""
    sums: dict[str, float] = {}
    for task in tasks:
        sums[task.group] = sums.get(task.group, 0.0) + _WEIGHTS[task.nice]
    return sums


def _all(here: dict[str, float], others: Iterable[Iterable[Task]]) -> dict[str, float]:
    sums = dict(here)
    for each in others:
        for session, more in _sums(each).items():
            if session in sums:
                sums[session] += more
    return sums


def desert(tasks: Collection[Task], others: Iterable[Iterable[Task]]) -> tuple[float, dict[str, float]]:
    """What these deserve beside the others that can run on the machine, in sessions, 1 where there are none; and by
    session with some of them: the part of it that they are, by nice."""
    here = _sums(tasks)
    sums = _all(here, others)
    front = [task for task in tasks if task.foreground]
    parts = {session: here[session] / sums[session] for session in here}
    deserved = sum(parts.values()) + sum((FOREGROUND - 1) * _WEIGHTS[task.nice] / sums[task.group] for task in front)
    return deserved or 1.0, {session: max(LEAST, part) for session, part in parts.items()}
