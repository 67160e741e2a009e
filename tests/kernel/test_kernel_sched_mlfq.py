"""The multi-level feedback queue: skip-join, demotion, promotion, and no convoy behind a long prompt."""

from functools import partial

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.sched import Task
from llmsh.kernel.sched.mlfq import FIRST, LEVELS, Mlfq, level_of, quantum
from llmsh.kernel.settings import Settings
from tests.support.machine import Machine


def job(ident: int, ahead: float = 0.0) -> Task:
    task = Task(ident, "a")
    task.ahead = ahead
    return task


def queue(*tasks: Task) -> Mlfq:
    made = Mlfq()
    for task in tasks:
        made.add(task)
    return made


def test_a_job_joins_at_the_level_whose_quantum_covers_its_prompt() -> None:
    assert [level_of(ahead) for ahead in (0, FIRST, FIRST + 1, 4 * FIRST, 1e9)] == [0, 0, 1, 2, LEVELS - 1]
    tasks = [job(1, 5 * FIRST), job(2, 1.0)]
    policy = queue(*tasks)
    assert [task.level for task in tasks] == [3, 0]
    assert policy.pick() is tasks[1]


def test_who_uses_up_a_level_sinks_by_one() -> None:
    first, second = job(1), job(2)
    policy = queue(first, second)
    policy.charge(first, FIRST)
    assert (first.level, policy.pick()) == (1, second)
    policy.charge(second, FIRST)
    # In a level, who has had least.
    assert policy.pick() is first
    policy.charge(first, quantum(1) / 2)
    assert policy.pick() is second
    policy.charge(second, quantum(1))
    assert (second.level, policy.pick()) == (2, first)


def test_in_a_level_shares_go_by_nice() -> None:
    low, high = job(1), job(2)
    low.nice, high.nice = 5, 0
    policy = queue(low, high)
    for task in (low, high):
        policy.charge(task, 1e9)
        assert task.level == LEVELS - 1
    had = dict.fromkeys((1, 2), 0)
    for _ in range(4000):
        first = policy.pick()
        assert first is not None
        policy.charge(first, 1.0)
        had[first.ident] += 1
    assert had[2] / had[1] == pytest.approx(high.weight / low.weight, rel=0.05)


def test_much_service_at_once_sinks_by_several_and_never_below_the_last() -> None:
    task = job(1)
    policy = queue(task)
    policy.charge(task, 1e9)
    assert task.level == LEVELS - 1
    policy.charge(task, 1e9)
    assert policy.pick() is task


def test_who_blocks_and_wakes_keeps_its_level_and_a_new_prompt_is_a_new_job() -> None:
    task = job(1)
    policy = queue(task)
    policy.charge(task, FIRST)
    policy.remove(task)
    policy.add(task)
    assert task.level == 1
    policy.remove(task)
    task.ahead = 1.0
    policy.add(task)
    assert task.level == 0


def test_who_is_nearly_done_comes_before_those_of_whom_that_is_not_known() -> None:
    near, far = job(1), job(2)
    policy = queue(near, far)
    near.bound = FIRST
    for task in (near, far):
        policy.charge(task, 5 * FIRST)
    assert (near.level, far.level) == (0, 2)
    assert policy.pick() is near


def test_a_prompt_rises_as_it_gets_done_and_its_answer_begins_at_the_first_level() -> None:
    task = job(1, 5 * FIRST)
    policy = queue(task)
    levels = [task.level]
    while task.ahead > 0:
        task.ahead -= FIRST
        policy.fed(task, FIRST)
        levels.append(task.level)
    assert levels == [3, 2, 2, 1, 0, 0]
    policy.charge(task, FIRST)
    assert task.level == 1


def test_who_starved_is_promoted() -> None:
    low, high = job(1, 1e9), job(2)
    policy = queue(low, high)
    policy.starved(low)
    assert (low.level, low.served) == (0, 0.0)
    policy.remove(high)
    assert policy.pick() is low


def test_what_others_have_computed_is_no_work() -> None:
    m = Machine(Options(cells=40_000, context=8000), settings=Settings(strict=True, policy="mlfq", batch=1))
    client = m.client()
    same = "p" * 1500
    first = client.run("ask", same, params={"max_tokens": 5})
    m.clock.run_until(lambda: client.exited(first) is not None)
    second = client.run("ask", same + "q", params={"max_tokens": 500})
    m.clock.run_until(lambda: m.kernel.table.get(second).tokens_in > 0)
    stream = m.kernel.table.get(second).stream
    assert stream is not None
    assert m.kernel.table.get(second).tokens_in < FIRST
    assert stream.task.level <= 1
    third = client.run("ask", "q" + same, params={"max_tokens": 500})
    m.clock.run_until(lambda: m.kernel.table.get(third).tokens_in > 0)
    other = m.kernel.table.get(third).stream
    assert other is not None
    assert other.task.level == level_of(other.task.ahead) > 1


def convoy(policy: str) -> float:
    """Seconds until four short jobs are done that came just after a long one."""
    options = Options(cells=20_000, context=10_000, prefill=1.0, answer=20)
    machine = Machine(options, settings=Settings(strict=True, policy=policy, batch=1))
    client = machine.client()
    client.run("say", "x" * 4000)
    machine.go(0.1)
    short = [client.run("say", "hi") for _ in range(4)]
    began = machine.clock.now()
    machine.clock.run_until(lambda: all(map(client.exited, short)))
    machine.sound()
    return machine.clock.now() - began


def test_short_jobs_do_not_wait_for_a_long_prompt_as_they_do_when_the_first_comes_first() -> None:
    assert convoy("mlfq") < convoy("fcfs") / 2


def test_a_long_one_is_not_starved_by_short_ones_that_never_end() -> None:
    options = Options(cells=20_000, context=10_000, answer=30)
    machine = Machine(options, settings=Settings(strict=True, policy="mlfq", batch=1, starvation_s=5))
    client = machine.client()
    long = client.run("say", "x" * 2000, params={"ignore_eos": True})
    for _ in range(200):
        client.run("say", "hi")
        machine.go(0.1)
    assert client.row(long)["tokens_out"] > 0
    machine.sound()


def beside(machine: Machine, sid: int = 0) -> int:
    """Tokens that one made which has long been running, while a short job of its session, or another, came and went."""
    long = machine.kernel.table.get(machine.client().run("ask", "endless"))
    machine.clock.run_until(lambda: long.tokens_out > 8 * FIRST)
    client = machine.client(pid=200, sid=sid) if sid else machine.client()
    before = long.tokens_out
    short = client.run("say", "hi", params={"max_tokens": 20})
    machine.clock.run_until(lambda: client.exited(short) is not None)
    machine.sound()
    return long.tokens_out - before


def machine(each: float) -> Machine:
    options = Options(cells=20_000, context=10_000, ms=5.0, each=each, answer=20)
    return Machine(options, settings=Settings(strict=True, policy="mlfq", batch=8))


def test_where_a_row_costs_time_who_came_long_ago_waits() -> None:
    assert beside(machine(each=8.0)) <= 5  # what was under way, and a step to see what it costs


def test_where_a_row_costs_next_to_nothing_nobody_waits() -> None:
    assert beside(machine(each=0.02)) >= 15


def test_a_long_prompt_that_is_under_way_waits_for_a_short_job_that_comes() -> None:
    m = machine(each=8.0)
    client = m.client()
    client.run("say", "x" * 8000)
    long = m.kernel.table.get(client.run("say", "y" * 8000))
    m.clock.run_until(lambda: long.stream is not None and long.stream.computed > 100)
    assert long.stream is not None
    short = client.run("say", "hi", params={"max_tokens": 20})
    m.clock.run_until(lambda: m.kernel.table.get(short).tokens_out > 0)
    before = long.stream.computed
    m.clock.run_until(lambda: client.exited(short) is not None)
    assert long.stream.computed == before
    m.sound()


def test_nobody_waits_for_a_short_one_of_another_session() -> None:
    assert beside(machine(each=8.0), sid=200) >= 5


def test_sessions_share_whatever_their_levels_are() -> None:
    m = machine(each=8.0)
    long = m.kernel.table.get(m.client().run("ask", "endless"))
    other = m.client(pid=200, sid=200)
    made = 0
    for _ in range(60):
        before = long.tokens_out
        pid = other.run("say", "hi", params={"max_tokens": 20})
        m.clock.run_until(partial(other.exited, pid))
        made += long.tokens_out - before
    assert made == pytest.approx(60 * 20, rel=0.3)


def test_who_is_nicer_sinks_sooner() -> None:
    tasks = [Task(1, "a", 5), Task(2, "a", 0), Task(3, "a", -5)]
    policy = queue(*tasks)
    for task in tasks:
        policy.charge(task, FIRST)
    assert tasks[0].level > tasks[1].level > tasks[2].level == 0


@pytest.mark.parametrize(("count", "apart", "prompt", "tokens"), [(4, 0.05, 12, 60), (4, 0.25, 12, 40)])
def test_jobs_that_go_side_by_side_share_their_steps_to_the_end(
    count: int, apart: float, prompt: int, tokens: int
) -> None:
    """Who is first does not stop so that the others catch up, nor do they wait because it is nearly done: both would
    make many steps of few rows."""

    def seconds(policy: str) -> float:
        options = Options(cells=20_000, context=10_000, ms=12.0, each=6.0, prefill=6.0, answer=20)
        m = Machine(options, settings=Settings(strict=True, policy=policy, batch=8))
        client = m.client()
        pids = []
        for n in range(count):
            pids.append(client.run("ask", f"{n}" * prompt, params={"max_tokens": tokens, "ignore_eos": True}))
            m.go(apart)
        m.clock.run_until(lambda: all(map(client.exited, pids)))
        return m.clock.now()

    began = Machine().clock.now()
    assert seconds("mlfq") - began <= 1.01 * (seconds("fcfs") - began)
