"""First come, first served, as a policy by itself."""

from llmsh.kernel.sched import Task
from llmsh.kernel.sched.fcfs import Fcfs


def order(queue: Fcfs) -> list[int]:
    """Everybody, in the order in which they would be served."""
    parked = []
    while (task := queue.pick()) is not None:
        queue.park(task)
        parked.append(task)
    for task in parked:
        queue.unpark(task)
    return [task.ident for task in parked]


def test_the_first_stays_first_whatever_it_has_had() -> None:
    queue, tasks = Fcfs(), [Task(n, "s", nice) for n, nice in enumerate((10, 0, -20))]
    for task in tasks:
        queue.add(task)
    queue.charge(tasks[0], 1e6)
    assert order(queue) == [0, 1, 2]
    assert len(queue) == 3


def test_who_blocks_and_wakes_keeps_its_place() -> None:
    queue, tasks = Fcfs(), [Task(n, "s") for n in range(3)]
    for task in tasks:
        queue.add(task)
    queue.remove(tasks[0])
    assert order(queue) == [1, 2]
    queue.add(tasks[0])
    assert order(queue) == [0, 1, 2]


def test_who_moves_between_two_queues_keeps_its_place_among_all() -> None:
    """They are those of two cores."""
    queue, other, tasks = Fcfs(), Fcfs(), [Task(n, "s") for n in range(4)]
    for task in tasks[:3]:
        queue.add(task)
    other.add(tasks[3])
    other.remove(tasks[3])
    queue.add(tasks[3])
    assert order(queue) == [0, 1, 2, 3]


def test_rank_is_the_order() -> None:
    queue, tasks = Fcfs(), [Task(n, "s") for n in range(5)]
    for task in tasks:
        queue.add(task)
    assert sorted(tasks, key=queue.rank) == tasks
