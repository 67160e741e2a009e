"""What a decision costs as more can run, counted in operations and not in time: O(log n) under every policy."""

import heapq
import sys
from collections import Counter
from math import log2
from types import FrameType
from typing import Any

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sched import POLICIES, Goal, Ledger, Task
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from tests.support.machine import Machine

QUANTUM = 16.0


def task(ident: int) -> Task:
    made = Task(ident, f"s{ident % 50}", ident % 7)
    if ident % 3 == 0:
        made.goal = Goal(due=1000.0 + ident * 7 % 1000) if ident % 2 else Goal(value=1.0 + ident % 11)
    return made


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the operations on heaps, each of which is O(log n), and the entries that a sweep looks at."""
    calls = Counter[str]()

    def counted(name: str) -> Any:
        real = getattr(heapq, name)

        def call(heap: list[Any], *args: Any) -> Any:
            calls[name] += len(heap) if name == "heapify" else 1
            calls["levels"] += len(heap) if name == "heapify" else len(heap).bit_length()
            return real(heap, *args)

        return call

    for name in ("heappush", "heappop", "heapify"):
        monkeypatch.setattr(heapq, name, counted(name))
    return calls


@pytest.mark.parametrize("policy", POLICIES)
def test_who_comes_and_goes_costs_the_same_among_many(policy: str, operations: Counter[str]) -> None:
    """Pick, charge, block and wake, with everybody else waiting: no rubbish is left to be paid for later."""

    def cost(count: int) -> float:
        order: Any = POLICIES[policy](Ledger())
        tasks = [task(n) for n in range(count)]
        for each in tasks:
            order.add(each)
        rounds = 3 * count + 300
        operations.clear()
        for n in range(rounds):
            found = order.pick()
            order.charge(found, QUANTUM)
            order.remove(tasks[n % count])
            order.add(tasks[n % count])
        return (operations.total() - operations["levels"]) / rounds

    assert cost(5000) <= cost(10) + 3
    assert cost(5000) <= 16


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pick_among_a_hundred_thousand_costs_their_logarithm(policy: str, operations: Counter[str]) -> None:
    """Levels of heaps that are gone through, by pick and charge, for a lease of each of a thousand turns."""

    def cost(count: int) -> float:
        order: Any = POLICIES[policy](Ledger())
        for n in range(count):
            order.add(task(n))
        operations.clear()
        for _ in range(1000):
            order.charge(order.pick(), QUANTUM)
        return operations["levels"] / 1000

    costs = [cost(count) for count in (10, 1000, 100_000)]
    assert [found <= 6 * log2(count) + 24 for found, count in zip(costs, (10, 1000, 100_000), strict=True)] == [
        True
    ] * 3, costs


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pick_goes_through_as_few_lines_among_a_hundred_thousand(policy: str) -> None:
    """Whatever is gone through without a heap would be seen here: lines of Python that are run."""

    def lines(count: int) -> float:
        order: Any = POLICIES[policy](Ledger())
        for n in range(count):
            order.add(task(n))
        seen = 0

        def trace(frame: FrameType, event: str, arg: object) -> Any:
            nonlocal seen
            seen += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            for _ in range(300):
                order.charge(order.pick(), QUANTUM)
        finally:
            sys.settrace(before)
        return seen / 300

    few, many = lines(10), lines(100_000)
    assert many <= 2 * few, (few, many)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_heap_is_never_much_larger_than_what_is_in_it(policy: str) -> None:
    """One that blocks and wakes behind a long head leaves its old entries there."""
    order: Any = POLICIES[policy](Ledger())
    head, other = Task(1, "a"), Task(2, "a")
    head.goal, other.goal = Goal(due=1.0), Goal(due=2.0)
    order.add(head)
    for _ in range(2000):
        order.add(other)
        order.remove(other)
    held = getattr(order, "_goals", None) or order._order
    assert len(held._heap) <= 200


def streams(count: int) -> tuple[RunQueue, list[Stream]]:
    queue = RunQueue("fair", Ledger())
    made = [Stream(n, Task(n, f"s{n % 50}"), exact=False) for n in range(count)]
    for each in made:
        each.task.since = 100.0
        queue.add(each)
    return queue, made


def test_who_has_waited_is_found_without_a_look_at_all(operations: Counter[str]) -> None:
    queue, made = streams(5000)
    operations.clear()
    for tick in range(40):
        queue.overdue(70.0 + tick / 2, 16)
    assert operations.total() == 0, "nobody is overdue, so nobody is looked at"
    for each in made[:4990]:
        each.task.since = 120.0
    queue.overdue(110.0, 16)
    assert sorted(stream.ident for stream in made if stream.task.boost) == list(range(4990, 5000))
    operations.clear()
    queue.overdue(119.0, 16)
    # Those who are boosted already are looked at again, and nobody else.
    assert operations.total() - operations["levels"] <= 2 * 10


def test_who_was_overdue_and_still_waits_is_overdue_again() -> None:
    queue, (one, two) = streams(2)
    queue.overdue(130.0, 16)
    assert (one.task.boost, two.task.boost) == (1, 1)
    one.task.since = 131.0
    queue.spend(one)
    assert one.task.boost == 0
    queue.overdue(140.0, 8)
    assert one.task.boost == 1
    queue.remove(two)
    queue.overdue(200.0, 8)
    queue.add(two)
    assert queue.urgent.pick() is two.task, "it has kept its place"
    queue.spend(two)
    queue.overdue(200.0, 4)
    assert (two.task.boost, queue.urgent.pick()) == (1, one.task)


def test_whose_cells_lie_in_an_image_gets_a_quantum_for_the_way_unless_a_person_waits() -> None:
    queue, (one, two, front) = streams(3)
    one.image = two.image = 40
    queue.overdue(130.0, 16)
    assert one.task.boost == 16
    queue.spend(one)
    assert queue.urgent.pick() is one.task
    two.task.boost = 0
    queue.requeue(two)
    front.task.foreground = True
    queue.requeue(front)
    queue.overdue(140.0, 16)
    assert two.task.boost == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_a_plan_asks_the_policy_as_often_for_many_as_for_few(policy: str) -> None:
    """Whole plans of a core on which everybody wants to run."""

    def asked(count: int) -> float:
        settings = Settings(strict=True, policy=policy, batch=4)
        m = Machine(Options(cells=300_000, context=2000), settings=settings)
        client = m.client()
        for _ in range(count):
            client.run("ask", "x")
        m.go(3)
        host = m.kernel.hosts["fake"]
        core = host.cores[0]
        assert len(core.queue) == count
        calls = 0
        real = core.queue.policy.pick

        def pick() -> Task | None:
            nonlocal calls
            calls += 1
            return real()

        core.queue.policy.pick = pick  # type: ignore[method-assign]  # the test counts
        before = host.steps
        m.go(1)
        return calls / (host.steps - before)

    assert asked(400) <= asked(8) + 4
