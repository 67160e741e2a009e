"""A whole kernel that has its device measured and fits it to the machine, over a fake device."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmsh.kernel.calibration import SPENT_MS
from llmsh.kernel.configuration import Configuration
from llmsh.kernel.measuring import QUIET_S
from llmsh.kernel.rates import Point
from llmsh.kernel.settings import Settings
from llmsh.kernel.tuning import REVIEW_S
from tests.support import tinymodel
from tests.support.llamamachine import LlamaMachine
from tests.support.machine import Client, Machine
from tests.support.measured import TWO, Shelf, chosen, host, machine, measured


def test_all_is_measured_in_the_background_and_kept() -> None:
    shelf = Shelf()
    made = machine(shelf)
    began = made.clock.now()
    measured(made)
    assert made.clock.now() - began < SPENT_MS / 1000
    rates = host(made).tuning.rates
    assert rates.ms[Point(1, 1, 1)] == 5.0
    assert rates.ms[Point(1, 2, 1)] == 4.0
    assert rates.ms[Point(2, 1, 4)] == 35.0
    assert shelf.find("fake") is not None
    assert shelf.kept["fake"]["points"] == rates.record()["points"]
    made.go(600)
    assert shelf.writes == 1
    made.sound()


def test_whoever_lies_idle_stays_while_the_machine_is_measured() -> None:
    made = machine(Shelf())
    client = made.client()
    pid = client.run("ask", "x" * 600, params={"max_tokens": 3})
    made.clock.run_until(lambda: client.exited(pid) is not None)
    made.go(0.1)
    used = client.call("vmstat")["used"]
    assert used > 600
    measured(made)
    assert client.call("vmstat")["used"] == used


def test_what_was_kept_is_not_measured_again() -> None:
    shelf = Shelf()
    measured(machine(shelf))
    again = machine(shelf)
    assert len(host(again).tuning.rates.ms) == host(again).tuning.progress[1]
    steps = host(again).steps
    again.go(60)
    assert (host(again).steps, shelf.writes) == (steps, 1)


def test_another_models_table_is_not_used() -> None:
    shelf = Shelf()
    made = measured(machine(shelf))
    other = made.client()
    other.post("load", model="fake:ms=50")
    made.clock.run_until(lambda: host(made, "fake:ms=50").ready)
    assert not host(made, "fake:ms=50").tuning.rates.ms


def test_nothing_is_measured_while_anybody_runs() -> None:
    made = machine(Shelf())
    client = made.client()
    pid = client.run(params={"max_tokens": 1000, "ignore_eos": True})
    made.clock.run_until(lambda: client.row(pid)["tokens_out"] > 900)
    tuning = host(made).tuning
    assert not tuning.rates.ms
    made.clock.run_until(lambda: client.exited(pid) is not None)
    ended = made.clock.now()
    made.clock.run_until(lambda: tuning.measuring)
    assert QUIET_S * 0.9 < made.clock.now() - ended < 2 * QUIET_S + 0.1


def test_a_slice_gives_way_at_once_and_is_made_again() -> None:
    slow = TWO._replace(ms=500.0, each=0.0)
    made = machine(Shelf(), slow)
    tuning = host(made).tuning
    made.clock.run_until(lambda: tuning.measuring)
    made.go(0.05)
    client = made.client()
    began = made.clock.now()
    pid = client.run(params={"max_tokens": 1, "ignore_eos": True})
    made.clock.run_until(lambda: not tuning.measuring)
    assert made.clock.now() - began < 0.02
    assert not tuning.rates.ms
    made.clock.run_until(lambda: client.exited(pid) is not None)
    made.clock.run_until(lambda: len(tuning.rates.ms) > 2)
    made.sound()


def test_a_slice_gives_way_to_another_models_work() -> None:
    made = machine(Shelf(), TWO._replace(ms=500.0, each=0.0))
    other = made.client()
    other.post("load", model="fake:ms=1")
    made.clock.run_until(lambda: host(made, "fake:ms=1").ready)
    tuning = host(made).tuning
    made.clock.run_until(lambda: tuning.measuring)
    assert not host(made, "fake:ms=1").tuning.measuring
    pid = other.run(model="fake:ms=1", params={"max_tokens": 40, "ignore_eos": True})
    made.go(0.02)
    assert not tuning.measuring
    made.clock.run_until(lambda: other.exited(pid) is not None)
    made.clock.run_until(lambda: tuning.measuring)


def test_between_the_steps_of_a_slice_the_next_one_is_the_newcomers() -> None:
    made = machine(Shelf())
    tuning = host(made).tuning
    made.clock.run_until(lambda: tuning.measuring)
    client = made.client()
    pid = client.run(params={"max_tokens": 3, "ignore_eos": True})
    made.go(0.1)
    assert client.exited(pid) is not None
    measured(made)


@pytest.mark.parametrize("end", ["crash", "hang"])
def test_an_engine_that_ends_in_a_slice_is_measured_again(end: str) -> None:
    made = machine(Shelf())
    tuning = host(made).tuning
    made.clock.run_until(lambda: tuning.measuring)
    if end == "crash":
        made.device.crash()
    else:
        made.device.hang()
    made.clock.run_until(lambda: host(made).incarnation == 2 and host(made).ready)
    measured(made)
    made.sound()


def test_a_table_that_was_begun_is_gone_on_with() -> None:
    shelf = Shelf()
    made = machine(shelf)
    made.clock.run_until(lambda: len(host(made).tuning.rates.ms) == 5)
    made.kernel.unload("fake")
    assert len(shelf.kept["fake"]["points"]) == 5
    assert len(host(machine(shelf)).tuning.rates.ms) == 5


def running(made: Machine, count: int) -> tuple[Client, list[int]]:
    """So many that generate for ever, each from now on."""
    client = made.client()
    pids = [client.run(text=f"{number}", params={"max_tokens": 3000, "ignore_eos": True}) for number in range(count)]
    made.go(1.0)
    return client, pids


def speed(made: Machine, seconds: float = 5.0) -> float:
    before = host(made).tokens_out
    made.go(seconds)
    return (host(made).tokens_out - before) / seconds


def test_one_has_all_threads_and_two_a_core_each() -> None:
    made = measured(machine(Shelf()))
    client, _ = running(made, 1)
    assert chosen(made)[:2] == (1, 2)
    assert speed(made) == pytest.approx(250, rel=0.05)
    second = client.run(text="second", params={"max_tokens": 3000, "ignore_eos": True})
    made.go(0.5)
    assert chosen(made)[:2] == (2, 1)
    assert speed(made) == pytest.approx(400, rel=0.1)
    client.call("kill", pid=second, sig=9)
    made.go(0.5)
    assert chosen(made)[:2] == (1, 2)
    made.sound()


def test_four_take_turns_where_a_batch_is_slower() -> None:
    made = measured(machine(Shelf()))
    client, pids = running(made, 4)
    assert chosen(made) == Configuration(2, 1, 1, 1)
    assert speed(made) == pytest.approx(400, rel=0.1)
    made_by = [client.row(pid)["tokens_out"] for pid in pids]
    assert max(made_by) - min(made_by) <= 4 * 16
    leased = [each for core in host(made).cores.values() for each in core.leased.values()]
    assert len([each for each in leased if not each.halting]) <= 2
    made.sound()


def test_input_of_all_is_computed_before_they_take_turns() -> None:
    """Nobody waits for a first token until somebody else has had a quantum."""
    made = measured(machine(Shelf(), TWO._replace(cores=1)))
    client = made.client()
    pids = [client.run(text="x" * 40, params={"max_tokens": 3000, "ignore_eos": True}) for _ in range(4)]
    made.clock.run_until(lambda: any(client.row(pid)["tokens_out"] for pid in pids))
    made.go(0.1)
    assert all(client.row(pid)["tokens_out"] for pid in pids)
    made.go(2)
    assert chosen(made).seats == 1
    before = [client.row(pid)["tokens_out"] for pid in pids]
    made.go(0.02)
    assert sum(client.row(pid)["tokens_out"] > count for pid, count in zip(pids, before, strict=True)) <= 2
    made.sound()


def test_a_person_has_the_threads_that_keep_the_time_between_tokens() -> None:
    """80 ms with both threads, 140 with one, whose other core would make more in all."""
    made = measured(machine(Shelf(), TWO._replace(ms=140.0, each=148.0, gain=0.75)))
    client = made.client(tty="pts/1")
    client.peer.fg = True
    person = client.run(params={"max_tokens": 3000, "ignore_eos": True})
    made.go(1)
    running(made, 1)
    assert chosen(made)[:2] == (1, 2)
    before = client.row(person)["tokens_out"]
    made.go(5)
    assert client.row(person)["tokens_out"] - before > 5 / 0.1
    client.call("kill", pid=person, sig=9)
    running(made, 1)
    made.clock.run_until(lambda: chosen(made)[:2] == (2, 1))
    made.sound()


def test_many_are_gathered_on_one_core_where_that_is_fastest() -> None:
    made = measured(machine(Shelf(), TWO._replace(each=0.1, gain=1.2)))
    client, pids = running(made, 8)
    assert chosen(made)[:2] == (1, 2)
    assert sum(bool(len(core.queue)) for core in host(made).cores.values()) == 1
    assert all(client.row(pid)["tokens_out"] for pid in pids)
    made.sound()


def test_what_the_user_says_is_done() -> None:
    made = measured(machine(Shelf(), batch=4, threads=1))
    running(made, 8)
    assert chosen(made) == Configuration(2, 1, 1, 4)
    assert {core.seating.seats for core in host(made).cores.values()} == {4, 1}


def test_without_calibration_nothing_is_measured() -> None:
    shelf = Shelf()
    made = Machine(TWO, settings=Settings(strict=True), shelf=shelf)
    made.client().post("load", model="fake")
    made.go(60)
    running(made, 4)
    assert (host(made).tuning.configuration, shelf.writes) == (None, 0)


def slowed(made: Machine, factor: float) -> Callable[[], None]:
    """From now on steps of two threads take longer; gives what ends that."""
    engine = made.device.engine
    assert engine is not None
    real = engine._measures.scaled

    def scaled(plan: Any, busy: int) -> Any:
        plan = real(plan, busy)
        return plan._replace(ms=plan.ms * factor) if plan.threads > 1 else plan

    engine._measures.scaled = scaled  # type: ignore[method-assign]  # the machine is disturbed

    def over() -> None:
        engine._measures.scaled = real  # type: ignore[method-assign]  # and is not any more

    return over


def test_threads_follow_the_noise_and_come_back() -> None:
    made = measured(machine(Shelf(), TWO._replace(ms=50.0)))
    client = made.client()
    client.run(params={"max_tokens": 3_900, "ignore_eos": True})
    made.go(1)
    assert chosen(made).threads == 2
    over = slowed(made, 3.0)
    made.go(5)
    assert chosen(made).threads == 1
    changes = host(made).tuning.changes
    made.go(60)
    # Tried again once in a while, not all the time.
    assert host(made).tuning.changes - changes <= 8
    over()
    made.go(60)
    assert chosen(made).threads == 2


def test_a_number_of_streams_that_swings_does_not_make_cores_swing() -> None:
    made = measured(machine(Shelf(), TWO._replace(each=0.1, gain=1.2)))
    client, pids = running(made, 8)
    changes = host(made).tuning.changes
    for _ in range(20):
        client.post("kill", pid=pids[0], sig=19)
        made.go(REVIEW_S / 10)
        client.post("kill", pid=pids[0], sig=18)
        made.go(REVIEW_S / 10)
    assert host(made).tuning.changes - changes <= 2
    made.sound()


def test_a_machine_that_is_slower_as_a_whole_changes_little() -> None:
    made = measured(machine(Shelf(), TWO._replace(each=2.0)))
    running(made, 8)
    engine = made.device.engine
    assert engine is not None
    real, draw = engine._measures.scaled, random.Random(7)

    def scaled(plan: Any, busy: int) -> Any:
        plan = real(plan, busy)
        return plan._replace(ms=plan.ms * draw.uniform(1.2, 2.0))

    engine._measures.scaled = scaled  # type: ignore[method-assign]  # the machine is disturbed
    changes = host(made).tuning.changes
    made.go(30)
    assert host(made).tuning.changes - changes <= 2


def test_steps_across_a_suspend_say_nothing() -> None:
    made = measured(machine(Shelf(), TWO._replace(cells=300_000, context=200_000)))
    client = made.client()
    client.run(params={"max_tokens": 100_000, "ignore_eos": True})
    made.go(1)
    rates = host(made).tuning.rates
    seen = rates.corrections[Point(1, 2, 1)].at
    made.go(0.006)
    assert rates.corrections[Point(1, 2, 1)].at > seen
    seen = rates.corrections[Point(1, 2, 1)].at
    made.clock._offset += 3600
    made.go(0.0045)
    assert rates.corrections[Point(1, 2, 1)].at == seen


def test_input_costs_what_was_measured() -> None:
    made = machine(Shelf(), TWO._replace(prefill=1.0))
    assert host(made).input_cost == 0.25
    measured(made)
    assert host(made).input_cost == pytest.approx((5 + 127) / 128 / 5, rel=0.01)


@pytest.mark.llama
def test_a_real_engine_is_measured_in_seconds(tmp_path: Path) -> None:
    shelf = Shelf()
    made = LlamaMachine(
        tinymodel.make(tmp_path / "tiny.gguf"), settings=Settings(strict=True, calibrate=True), shelf=shelf
    )
    try:
        made.client().post("load", model="fake")
        made.clock.run_until(lambda: host(made).ready)
        began = made.clock.now()
        measured(made)
        assert made.clock.now() - began < 20
        rates = host(made).tuning.rates
        assert all(ms > 0 for ms in rates.ms.values())
        assert {point.cores for point in rates.ms} == {1, 2}
        running(made, 3)
        assert chosen(made).cores in (1, 2)
        made.clock.run_until(lambda: bool(rates.corrections))
    finally:
        made.close()
    assert shelf.kept["fake"]["points"]
