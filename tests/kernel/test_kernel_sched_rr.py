"""Round robin, as a policy by itself and in a whole kernel."""

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.sched import Task
from llmsh.kernel.sched.rr import Rr
from llmsh.kernel.settings import Settings
from tests.support.machine import Machine


def queue(*tasks: Task) -> Rr:
    made = Rr()
    for task in tasks:
        made.add(task)
    return made


def served(policy: Rr, turns: int, cost: float = 16.0) -> list[int]:
    out = []
    for _ in range(turns):
        task = policy.pick()
        assert task is not None
        policy.charge(task, cost)
        out.append(task.ident)
    return out


def test_everybody_in_turn_whatever_their_nice_value() -> None:
    assert served(queue(Task(1, "a", 19), Task(2, "a"), Task(3, "b", -20)), 7) == [1, 2, 3, 1, 2, 3, 1]


def test_what_is_given_back_ends_no_turn() -> None:
    task = Task(1, "a")
    policy = queue(task, Task(2, "a"))
    policy.charge(task, -5.0)
    assert policy.pick() is task


def test_the_foreground_has_longer_turns() -> None:
    task = Task(1, "a")
    task.foreground = True
    assert served(queue(task, Task(2, "a")), 10) == [1] * 8 + [2, 1]


def test_who_leaves_is_not_served_and_who_comes_is_last() -> None:
    tasks = [Task(n, "a") for n in (1, 2, 3)]
    policy = queue(*tasks)
    policy.remove(tasks[1])
    assert served(policy, 3) == [1, 3, 1]
    policy.add(tasks[1])
    assert served(policy, 3) == [3, 1, 2]


def test_a_parked_task_keeps_its_place() -> None:
    tasks = [Task(n, "a") for n in (1, 2)]
    policy = queue(*tasks)
    policy.park(tasks[0])
    assert policy.pick() is tasks[1]
    policy.unpark(tasks[0])
    assert policy.pick() is tasks[0]


def test_processes_of_one_machine_get_the_same() -> None:
    machine = Machine(Options(cells=100_000, context=20_000), settings=Settings(strict=True, policy="rr"))
    client = machine.client()
    pids = [client.run("ask", nice=nice) for nice in (0, 10, -10, 19)]
    machine.go(2)
    before = [client.row(pid)["tokens_out"] for pid in pids]
    machine.go(20)
    made = [client.row(pid)["tokens_out"] - start for pid, start in zip(pids, before, strict=True)]
    assert made == [pytest.approx(sum(made) / 4, rel=0.05)] * 4
    machine.sound()
