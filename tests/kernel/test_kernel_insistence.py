"""A table that is made though somebody always runs: in turns of the machine, over a fake device."""

from typing import Any

import pytest

from llmsh.kernel.insistence import PATIENCE_S
from tests.support.machine import Client, Machine
from tests.support.measured import TWO, Shelf, chosen, host, machine

LONG = TWO._replace(cells=60_000, context=60_000, answer=200_000)


def busy(made: Machine, **options: Any) -> tuple[Client, int]:
    """Somebody who runs for ever."""
    client = made.client(**options)
    client.peer.fg = bool(options)
    return client, client.run(params={"max_tokens": 100_000, "ignore_eos": True})


def test_a_table_is_made_beside_a_job_that_never_ends() -> None:
    """In turns with it: it has its part of the machine all the time."""
    made = machine(Shelf(), LONG)
    client, pid = busy(made)
    tuning = host(made).tuning
    made.go(PATIENCE_S - 1)
    assert not tuning.rates.ms
    before, at = client.row(pid)["tokens_out"], made.clock.now()
    alone = before / at
    made.clock.run_until(lambda: tuning.measures is not None and tuning.measures.calibration.complete, 90)
    took = made.clock.now() - at
    assert client.row(pid)["tokens_out"] - before > 0.4 * took * alone
    made.go(2)
    assert chosen(made)[:2] == (1, 2)
    before = client.row(pid)["tokens_out"]
    made.go(5)
    assert client.row(pid)["tokens_out"] - before == pytest.approx(5 * 250, rel=0.05), "alone again"
    made.sound()


def test_a_table_is_made_beside_jobs_that_come_and_go_on_another_model() -> None:
    made = machine(Shelf(), LONG)
    client = made.client()
    client.post("load", model="fake:ms=1")
    made.clock.run_until(lambda: host(made, "fake:ms=1").ready)
    busy(made)
    tunings = [host(made).tuning, host(made, "fake:ms=1").tuning]
    for _ in range(400):
        client.run(model="fake:ms=1", params={"max_tokens": 40})
        made.go(0.3)
    assert all(each.measures is not None and each.measures.calibration.complete for each in tunings)
    made.sound()


def test_where_somebody_is_in_the_foreground_no_table_is_insisted_on() -> None:
    made = machine(Shelf(), LONG)
    client, pid = busy(made, tty="pts/1")
    made.go(3 * PATIENCE_S)
    tuning = host(made).tuning
    assert not tuning.rates.ms
    assert client.row(pid)["tokens_out"] > 0


def test_a_turn_of_measuring_gives_way_to_the_foreground_at_once() -> None:
    made = machine(Shelf(), LONG._replace(ms=500.0, each=0.0))
    busy(made)
    tuning = host(made).tuning
    made.clock.run_until(lambda: tuning.measuring, 60)
    made.go(0.05)
    began = made.clock.now()
    client, pid = busy(made, tty="pts/1")
    made.clock.run_until(lambda: not tuning.measuring)
    assert made.clock.now() - began < 0.02
    made.clock.run_until(lambda: client.row(pid)["tokens_in"] > 0)
    assert made.clock.now() - began < 2 * 0.5
    made.sound()


def test_an_engine_that_dies_in_a_turn_of_measuring_leaves_nobody_waiting() -> None:
    made = machine(Shelf(), LONG)
    client, pid = busy(made)
    tuning = host(made).tuning
    made.clock.run_until(lambda: tuning.measuring, 60)
    made.device.crash()
    before = client.row(pid)["tokens_out"]
    made.go(5)
    assert client.row(pid)["tokens_out"] > before + 100
    made.clock.run_until(lambda: tuning.measures is not None and tuning.measures.calibration.complete, 90)
    made.sound()
