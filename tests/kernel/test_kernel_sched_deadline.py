"""The policy `deadline`: order, admission by what was measured, and what becomes of who is late."""

from math import inf
from typing import Any

import pytest

from llmsh.abi.errors import Error
from llmsh.drivers.fakecore import Options
from llmsh.kernel.rates import Point
from llmsh.kernel.sched import Goal, Task
from llmsh.kernel.sched.deadline import Deadline
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from tests.support.machine import Client, Machine

WIDE = Options(cells=100_000, context=20_000)
"""A token takes 5 ms alone: 200 a second."""


def task(ident: int, due: float = inf, value: float = 0.0, left: float = 100.0) -> Task:
    made = Task(ident, "a")
    if due < inf or value:
        made.goal = Goal(due, value, left)
    return made


def queue(*tasks: Task) -> Deadline:
    made = Deadline()
    for each in tasks:
        made.add(each)
    return made


def order(policy: Deadline) -> list[int]:
    """Who is served when each runs until its end."""
    out = []
    while (found := policy.pick()) is not None:
        out.append(found.ident)
        policy.remove(found)
    return out


def machine(policy: str = "deadline", **options: Any) -> Machine:
    return Machine(WIDE._replace(**options), settings=Settings(strict=True, policy=policy))


def measured(policy: str = "deadline", **options: Any) -> tuple[Machine, Client]:
    """A machine on which it is known how fast a sequence is alone."""
    m = machine(policy, **options)
    client = m.client()
    pid = client.run("ask", params={"max_tokens": 20})
    m.clock.run_until(lambda: client.exited(pid) is not None)
    return m, client


def run(client: Client, tokens: int, **params: Any) -> int:
    return client.run("ask", "x", params={"max_tokens": tokens, **params})


def ended(m: Machine, client: Client, pids: list[int]) -> list[int]:
    """The same pids in the order in which they end."""
    m.clock.run_until(lambda: all(map(client.exited, pids)))
    return [event["pid"] for event in client.events if event["ev"] == "exit" and event["pid"] in pids]


def given(client: Client, size: int, **params: Any) -> int:
    """A process with a goal of 3 s whose input comes on standard input, and is read."""
    pid = client.run("ask", "", stdin="client", params={"max_tokens": 100, "deadline": 3, **params})
    client.give(pid, b"x" * size)
    client.give(pid, b"")
    return pid


# The order.


def test_deadlines_then_values_then_the_late_then_the_others() -> None:
    late = task(3, due=1.0)
    assert late.goal is not None
    late.goal.late = True
    assert order(queue(task(1), task(2, value=1.0), late, task(4, due=50.0), task(5, due=20.0))) == [5, 4, 2, 3, 1]


def test_value_counts_by_the_work_that_is_left() -> None:
    policy = queue(task(1, value=8.0, left=100), task(2, value=4.0, left=20), task(3, value=1.0, left=100))
    assert order(policy) == [2, 1, 3]


def test_who_is_served_has_less_left_and_so_stays_first() -> None:
    one, two = task(1, value=5.0, left=100), task(2, value=4.9, left=100)
    policy = queue(one, two)
    assert one.goal is not None
    one.goal.left -= 16
    policy.charge(one, 16.0)
    assert policy.pick() is one


def test_what_is_granted_and_given_back_leaves_the_work_as_it_was() -> None:
    goal = Goal(due=5.0, left=3.0)
    goal.left -= 16
    assert goal.work == 1.0
    goal.left += 16
    assert goal.work == 3.0
    stream = Stream(1, Task(1, "a"), exact=False)
    stream.append([1, 2, 3])
    before = stream.ahead(Goal(left=20.0, fed=5.0))
    stream.upto = 3 + 16
    assert stream.ahead(Goal(left=20.0 - 16, fed=5.0)) == before == 25.0


def test_those_without_a_goal_share_as_under_fair() -> None:
    policy = queue(Task(1, "a"), Task(2, "b"))
    got = {1: 0, 2: 0}
    for _ in range(100):
        found = policy.pick()
        assert found is not None
        policy.charge(found, 16.0)
        got[found.ident] += 1
    assert got == {1: 50, 2: 50}


def test_only_a_nearer_goal_takes_a_seat() -> None:
    policy = Deadline()
    near, far, none, other = task(1, due=5.0), task(2, due=9.0), task(3), task(4)
    assert policy.preempts(near, far)
    assert policy.preempts(far, none)
    assert not policy.preempts(far, near)
    assert not policy.preempts(none, other)


# In a whole kernel.


def test_the_earliest_deadline_is_done_first_whoever_came_first() -> None:
    m, client = measured()
    pids = [run(client, 200), run(client, 200, deadline=60), run(client, 200, deadline=20), run(client, 200, value=1)]
    assert ended(m, client, pids) == [pids[2], pids[1], pids[3], pids[0]]
    m.sound()


def test_what_is_admitted_is_met_and_what_cannot_be_is_refused_with_the_figures() -> None:
    m, client = measured()
    began = m.clock.now()
    pids = [run(client, 400, deadline=10 - n) for n in range(3)]
    with pytest.raises(Error) as caught:
        run(client, 1200, deadline=10)
    assert caught.value.code == "EBUSY"
    assert "1205 tokens of work and 1215 before it, at 200.0 a second, take 12.1 s" in caught.value.detail
    with pytest.raises(Error, match="305 tokens of work at 200"):
        run(client, 300, deadline=1)
    assert ended(m, client, pids) == pids[::-1]
    assert m.clock.now() - began < 8
    assert run(client, 1200, deadline=10) > 0, "the others are done"


def test_input_that_turns_out_too_long_is_refused_before_it_is_computed() -> None:
    m, client = measured()
    short, long = given(client, 400), given(client, 4000)
    assert ended(m, client, [short, long]) == [long, short]
    assert client.row(short)["status"] == 0
    assert (client.row(long)["status"], client.row(long)["tokens_in"]) == (1, 0)
    said = str(client.exited(long))
    assert "its deadline cannot be met" in said
    assert "tokens of work at 200.0 a second" in said


def test_input_that_turns_out_too_long_is_late_at_once_where_that_is_better() -> None:
    m, client = measured()
    pid = given(client, 4000, late=True)
    m.go(0.2)
    assert client.row(pid)["deadline"] == "late"


def test_input_that_came_later_counts_for_those_who_come_then() -> None:
    m, client = measured()
    given(client, 1500)
    m.go(0.1)
    with pytest.raises(Error, match=r"and 4.. before it"):
        run(client, 200, deadline=3.2)


def test_who_would_break_another_promise_is_refused() -> None:
    _, client = measured()
    run(client, 1000, deadline=6)
    with pytest.raises(Error, match="405 tokens of work and 1005 due by a deadline that it would break"):
        run(client, 400, deadline=3)
    assert run(client, 100, deadline=3)


def test_on_two_cores_there_is_room_for_two() -> None:
    m, client = measured(cores=2)
    assert run(client, 1000, deadline=6)
    assert run(client, 1000, deadline=6)
    with pytest.raises(Error, match="on each of 2 cores"):
        run(client, 600, deadline=6)
    m.sound()


def test_goals_that_only_fit_side_by_side_run_side_by_side() -> None:
    m, client = measured(cores=2)
    began = m.clock.now()
    pids = [run(client, 1000, **goal) for goal in ({"deadline": 6.5}, {}, {"deadline": 6.5}, {})]
    ended(m, client, [pids[0], pids[2]])
    assert m.clock.now() - began < 6.5
    m.sound()


def test_a_goal_goes_to_a_core_whose_goals_are_done() -> None:
    m, client = measured(cores=2)
    began = m.clock.now()
    pids = [run(client, tokens, deadline=9) for tokens in (200, 1000, 600)]
    ended(m, client, pids)
    assert m.clock.now() - began < 6
    m.sound()


def test_what_was_measured_of_the_machine_counts_before_anything_ran() -> None:
    m = machine()
    client = m.client()
    client.post("load", model="fake")
    m.go(1)
    m.kernel.hosts["fake"].tuning.rates.measured(Point(1, 1, 1), 5.0)
    with pytest.raises(Error, match="500 tokens of work at 200"):
        run(client, 500, deadline=0.001)
    assert run(client, 500, deadline=3)


def test_the_time_of_another_model_is_not_promised() -> None:
    m, client = measured()
    other = m.client(pid=2, sid=2)
    busy = other.run("ask", model="fake:b")
    m.go(1)
    with pytest.raises(Error, match=r"1005 tokens of work at 100\.0 a second"):
        run(client, 1000, deadline=6)
    pid = run(client, 1000, deadline=11)
    began = m.clock.now()
    m.clock.run_until(lambda: client.exited(pid) is not None)
    assert m.clock.now() - began < 11
    other.post("kill", pid=busy, sig=9)
    m.go(1)
    assert run(client, 1000, deadline=6)


def test_the_foreground_goes_before_what_is_promised() -> None:
    m, client = measured()
    front = m.client(pid=300, sid=300, tty="pts/1")
    front.peer.fg = True
    front.run("ask", params={"max_tokens": 300})
    m.go(0.1)
    with pytest.raises(Error, match="1005 tokens of work and 0 before it behind 128 of the foreground"):
        run(client, 1000, deadline=5.2)
    assert run(client, 1000, deadline=7)


def test_a_child_has_its_parents_deadline_and_is_marked_if_both_cannot_keep_it() -> None:
    m, client = measured()
    parent = run(client, 600, deadline=5)
    m.go(1)
    pids = [client.call("fork", pid=parent)["pid"] for _ in range(3)]
    m.go(0.1)
    assert client.row(parent)["deadline"] == client.row(pids[0])["deadline"] == pytest.approx(3.9)
    assert [client.row(pid)["deadline"] == "late" for pid in pids] == [False, True, True]
    assert ended(m, client, [parent, pids[0]])
    assert m.clock.now() < 1000.2 + 5
    m.sound()


def test_work_that_is_lost_and_done_again_is_not_work_done() -> None:
    m, client = measured()
    pid = client.run("ask", "x" * 2000, params={"max_tokens": 400, "deadline": 60})
    m.clock.run_until(lambda: client.row(pid)["tokens_out"] >= 100)
    goal = m.kernel.table.get(pid).goal
    assert goal is not None
    goal.left = 2000.0  # a byte is a token here, of which less were expected
    m.device.crash()
    m.clock.run_until(lambda: client.row(pid)["tokens_out"] >= 120)
    assert 20 <= 2000 - goal.left <= 20 + 3 * 16, "20 tokens, and what was under lease, twice"


def test_late_runs_it_all_the_same_marked_and_behind_the_others() -> None:
    m, client = measured()
    late = run(client, 400, deadline=1, late=True)
    assert client.row(late)["deadline"] == "late"
    other = run(client, 400, deadline=5)
    assert client.row(other)["deadline"] == 5
    m.go(1)
    assert client.row(other)["deadline"] == pytest.approx(4)
    assert ended(m, client, [late, other]) == [other, late]


def test_a_deadline_that_passes_unmet_is_marked_and_stops_nobody() -> None:
    """Nothing is measured when the first comes: it is admitted unseen."""
    m = machine()
    client = m.client()
    first = run(client, 2000, deadline=3)
    assert client.row(first)["deadline"] == 3
    m.go(1)
    assert client.row(first)["deadline"] == "late", "marked as soon as the rate is known, not when it has passed"
    second = run(client, 300, deadline=4)
    assert ended(m, client, [first, second]) == [second, first]


def test_a_guess_that_was_too_low_is_late_when_the_time_has_passed() -> None:
    m, client = measured()
    pid = client.run("ask", "x")  # no limit: as many tokens as the last had are expected
    m.go(0.5)
    assert client.row(pid)["deadline"] is None
    pid = client.run("ask", "x", params={"deadline": 2})
    m.go(1)
    assert client.row(pid)["deadline"] == pytest.approx(1)
    m.go(2)
    assert client.row(pid)["deadline"] == "late"


def test_under_another_policy_a_deadline_is_shown_and_orders_nobody() -> None:
    m, client = measured("fcfs")
    for _ in range(8):
        client.run("ask", "x", params={"max_tokens": 300})
    pid = run(client, 190, deadline=1)
    assert client.row(pid)["deadline"] == 1
    assert client.row(run(client, 10_000, deadline=1))["deadline"] == "late", "it would be if it were alone"
    m.go(1.2)
    assert client.row(pid)["deadline"] == "late"


def test_after_a_switch_those_who_run_are_in_the_order_of_their_goals() -> None:
    m, client = measured("fair")
    pids = [run(client, 400), run(client, 400, value=1), run(client, 400, deadline=60)]
    m.go(0.5)
    client.call("sched", policy="deadline")
    assert ended(m, client, pids) == pids[::-1]


def test_those_without_a_goal_are_not_forgotten() -> None:
    m = Machine(WIDE, settings=Settings(strict=True, policy="deadline", starvation_s=5))
    client = m.client()
    plain = run(client, 1000)
    run(client, 10_000, deadline=1000)
    m.go(4)
    before = client.row(plain)["tokens_out"]
    m.go(6)
    assert client.row(plain)["tokens_out"] > before


@pytest.mark.parametrize("params", [{"deadline": -1}, {"deadline": "soon"}, {"value": -2}, {"late": 1}])
def test_what_is_no_goal_is_refused(params: dict[str, Any]) -> None:
    _, client = measured()
    with pytest.raises(Error) as caught:
        client.run("ask", params=params)
    assert caught.value.code == "EINVAL"
