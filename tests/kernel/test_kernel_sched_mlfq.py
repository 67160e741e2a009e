"""The multi-level feedback queue: skip-join, demotion, promotion, and no convoy behind a long prompt."""

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
    # In a level, first come first served.
    assert policy.pick() is first
    policy.charge(first, quantum(1) / 2)
    assert policy.pick() is first
    policy.charge(first, quantum(1) / 2)
    assert (first.level, policy.pick()) == (2, second)


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
    assert stream.task.level == 0
    third = client.run("ask", "q" + same, params={"max_tokens": 500})
    m.clock.run_until(lambda: m.kernel.table.get(third).tokens_in > 0)
    other = m.kernel.table.get(third).stream
    assert other is not None
    assert other.task.level == level_of(1500 * 0.25)


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
