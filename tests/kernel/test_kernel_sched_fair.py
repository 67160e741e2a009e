"""Fair shares as a policy by itself: tasks, charges, and an unending backlog. No kernel, no device."""

import heapq
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmsh.abi.nice import weight
from llmsh.kernel.sched import POLICIES, Ledger, Task
from llmsh.kernel.sched.fair import Fair

QUANTUM = 16.0


def serve(policy: Fair, rounds: int, cost: float = QUANTUM) -> Counter[int]:
    """Grant `rounds` quanta to whoever is next; what each task got."""
    got: Counter[int] = Counter()
    for _ in range(rounds):
        task = policy.pick()
        assert task is not None
        policy.charge(task, cost)
        got[task.ident] += int(cost)
    return got


def added(policy: Fair, *tasks: Task) -> Fair:
    for task in tasks:
        policy.add(task)
    return policy


def test_nobody_there_nobody_picked() -> None:
    assert Fair().pick() is None
    assert len(Fair()) == 0


@pytest.mark.parametrize(("one", "two"), [(0, 10), (0, 0), (-10, 10), (5, 6), (-5, 5)])
def test_tokens_follow_the_weights(one: int, two: int) -> None:
    got = serve(added(Fair(), Task(1, "a", one), Task(2, "a", two)), 40_000)
    assert got[1] / max(1, got[2]) == pytest.approx(weight(one) / weight(two), rel=0.05)


@pytest.mark.parametrize("many", [1, 40, 1000])
def test_sessions_share_before_processes_do(many: int) -> None:
    policy = added(Fair(), Task(0, "alone"), *(Task(n, "crowd") for n in range(1, many + 1)))
    got = serve(policy, 20 * many + 20)
    crowd = got.total() - got[0]
    assert abs(got[0] - crowd) <= 2 * QUANTUM
    each = [got[n] for n in range(1, many + 1)]
    assert max(each) - min(each) <= 2 * QUANTUM


def test_nice_counts_within_a_session_and_not_between_two() -> None:
    got = serve(added(Fair(), Task(1, "a", 19), Task(2, "b", -20)), 1000)
    assert abs(got[1] - got[2]) <= 2 * QUANTUM


def test_the_foreground_weighs_eight_times_as_much() -> None:
    front, back = Task(1, "a"), Task(2, "b")
    front.foreground = True
    got = serve(added(Fair(), front, back), 9000)
    assert got[1] / got[2] == pytest.approx(8, rel=0.05)
    inside = Task(3, "c")
    inside.foreground = True
    got = serve(added(Fair(), inside, Task(4, "c")), 9000)
    assert got[3] / got[4] == pytest.approx(8, rel=0.05)


def test_who_sleeps_earns_no_credit() -> None:
    policy, sleeper, worker = Fair(), Task(1, "a"), Task(2, "b")
    added(policy, sleeper, worker)
    policy.remove(sleeper)
    serve(policy, 1000)
    policy.add(sleeper)
    got = serve(policy, 100)
    assert abs(got[1] - got[2]) <= 2 * QUANTUM


def test_who_is_born_again_and_again_earns_no_credit() -> None:
    policy, worker = Fair(), Task(0, "a")
    policy.add(worker)
    got: Counter[str] = Counter()
    for ident in range(1, 400):
        child = Task(ident, "b" if ident % 2 else "a")
        policy.add(child)
        for _ in range(3):
            task = policy.pick()
            assert task is not None
            policy.charge(task, QUANTUM)
            got[task.group] += 1
        policy.remove(child)
    # Session b is there half of the time, and then has one half at most.
    assert got["b"] <= got.total() / 2 + 4


def test_a_session_that_comes_back_keeps_its_debt() -> None:
    """Leaving and coming back at once is no way to be served twice."""
    policy, one, two = Fair(), Task(1, "a"), Task(2, "b")
    added(policy, one, two)
    got: Counter[int] = Counter()
    for _ in range(400):
        task = policy.pick()
        assert task is not None
        policy.charge(task, QUANTUM)
        got[task.ident] += 1
        if task is one:
            policy.remove(one)
            policy.add(one)
    assert abs(got[1] - got[2]) <= 2


def test_what_was_granted_and_not_used_is_given_back() -> None:
    policy, one, two = Fair(), Task(1, "a"), Task(2, "b")
    added(policy, one, two)
    used: Counter[int] = Counter()
    for _ in range(4000):
        task = policy.pick()
        assert task is not None
        policy.charge(task, QUANTUM)
        # The first uses one token of each quantum, the second all.
        spent = 1.0 if task is one else QUANTUM
        policy.charge(task, spent - QUANTUM)
        used[task.ident] += int(spent)
    assert used[1] / used[2] == pytest.approx(1, rel=0.05)


def test_prefill_is_charged_in_quarters_and_delays_who_caused_it() -> None:
    policy, one, two = Fair(), Task(1, "a"), Task(2, "b")
    added(policy, one, two)
    policy.charge(one, 4000 * 0.25)
    got = serve(policy, 100)
    assert abs(got[2] - got[1] - 1000) <= 2 * QUANTUM


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-5, 5)), min_size=2, max_size=30),
    st.integers(0, 2**32),
    st.floats(1, 64),
)
def test_service_of_two_backlogged_sessions_differs_by_two_quanta_at_most(
    tasks: list[tuple[int, int]], seed: int, quantum: float
) -> None:
    """The bound of the virtual token counter, in any interval in which both are backlogged."""
    policy, rng = Fair(), random.Random(seed)
    added(policy, *(Task(n, f"s{session}", nice) for n, (session, nice) in enumerate(tasks)))
    names = sorted({f"s{session}" for session, _ in tasks})
    served = dict.fromkeys(names, 0.0)
    marks: list[dict[str, float]] = [dict(served)]
    for _ in range(300):
        task = policy.pick()
        assert task is not None
        cost = rng.uniform(0, quantum)
        policy.charge(task, cost)
        served[task.group] += cost
        marks.append(dict(served))
    for name in names[1:]:
        ahead = [mark[name] - mark[names[0]] for mark in marks]
        assert max(ahead) - min(ahead) <= 2 * quantum + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("arpuck"), st.integers(0, 11), st.floats(-8, 40)), max_size=200))
def test_the_books_stay_right_whatever_comes(moves: list[tuple[str, int, float]]) -> None:
    """Who is picked is always somebody who is runnable and not parked."""
    policy = Fair()
    tasks = [Task(n, f"s{n % 4}", n - 6) for n in range(12)]
    there: set[Task] = set()
    parked: set[Task] = set()
    for move, number, cost in moves:
        task = tasks[number]
        if move == "a" and task not in there | parked:
            policy.add(task)
            there.add(task)
        elif move == "r":
            policy.remove(task)
            there.discard(task)
        elif move == "p" and task in there:
            policy.park(task)
            there.discard(task)
            parked.add(task)
        elif move == "u" and task in parked:
            policy.unpark(task)
            parked.discard(task)
            there.add(task)
        elif move == "c":
            policy.charge(task, cost)
        elif move == "k":
            found = policy.pick()
            assert (found in there) if there else (found is None)
        assert len(policy) == len(there)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pick_costs_the_same_for_ten_tasks_as_for_ten_thousand(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in heap operations; each is O(log n)."""
    calls = Counter[str]()

    def counted(name: str) -> Any:
        real = getattr(heapq, name)

        def call(*args: Any) -> Any:
            calls[name] += 1
            return real(*args)

        return call

    for name in ("heappush", "heappop", "heapify"):
        monkeypatch.setattr(heapq, name, counted(name))

    def cost(count: int) -> float:
        queue: Any = POLICIES[policy](Ledger())
        for n in range(count):
            queue.add(Task(n, f"s{n % 50}", n % 7))
        rounds = 2 * count + 1000
        for _ in range(2):
            calls.clear()  # the first time, what the additions left behind is swept out
            for _ in range(rounds):
                queue.charge(queue.pick(), QUANTUM)
        return calls.total() / rounds

    assert cost(10_000) <= cost(10) + 1
    assert cost(10_000) <= 6


def test_sessions_that_are_gone_are_forgotten() -> None:
    policy = Fair()
    worker = Task(0, "stays")
    policy.add(worker)
    for n in range(1, 5000):
        task = Task(n, f"s{n}")
        policy.add(task)
        policy.charge(worker, 1.0)
        policy.remove(task)
    assert len(policy.lines) < 200
    assert len(policy._order._heap) < 300
