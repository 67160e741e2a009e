"""What a decision of each policy costs when 10, 1,000 and 100,000 can run: pick, charge, and somebody else
blocks and wakes.

No daemon and no model: the policies alone, in this process. The target is growth as log n: from 10 to
100,000 that is a factor of 5; the caches of the machine are in it as well.
"""

import statistics
import time
from collections.abc import Iterator

from bench.place import Place
from bench.row import Row, judged
from llmsh.kernel.sched import POLICIES, Goal, Ledger, Policy, Task

SIZES = (10, 1_000, 100_000)
ROUNDS = 20_000
REPEATS = 5
GROWTH = 10.0
"""At most, from the first size to the last: twice what log n grows by."""


def filled(name: str, count: int) -> tuple[Policy, list[Task]]:
    """A policy with so many runnable tasks of 50 sessions; under `deadline`, a third with goals."""
    policy, tasks = POLICIES[name](Ledger()), []
    for ident in range(count):
        task = Task(ident, f"s{ident % 50}", ident % 7)
        if name == "deadline" and ident % 3 == 0:
            task.goal = Goal(due=1e6 + ident) if ident % 2 else Goal(value=1.0 + ident % 11)
        policy.add(task)
        tasks.append(task)
    return policy, tasks


def microseconds(policy: Policy, tasks: list[Task], rounds: int) -> float:
    """Of one decision."""
    began = time.perf_counter()
    for n in range(rounds):
        task = policy.pick()
        if task is not None:
            policy.charge(task, 16.0)
        other = tasks[n % len(tasks)]
        policy.remove(other)
        policy.add(other)
    return (time.perf_counter() - began) / rounds * 1e6


def rows(place: Place) -> Iterator[Row]:
    """A row a policy."""
    rounds = place.count(ROUNDS, 500)
    for name in POLICIES:
        found = {}
        for size in SIZES:
            policy, tasks = filled(name, size)
            found[size] = statistics.median(microseconds(policy, tasks, rounds) for _ in range(REPEATS))
        ratio = found[SIZES[-1]] / found[SIZES[0]]
        value = f"{ratio:.1f} times; " + ", ".join(f"{found[size]:.1f}" for size in SIZES) + " us"
        data = {"us": {str(size): us for size, us in found.items()}, "ratio": ratio}
        yield judged(f"pick, 10 to 100,000 runnable, {name}", f"<= {GROWTH:g} times", value, ratio <= GROWTH, data)
