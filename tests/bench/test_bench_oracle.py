"""What an oracle's order would win, with jobs counted by hand."""

import pytest

from bench.heavy_tail import SLOTS
from bench.oracle import play


def test_those_in_slots_share_and_an_oracle_serves_the_shortest() -> None:
    jobs = [(0.0, 10.0), (0.0, 1.0)]
    assert play(jobs, oracle=False) == pytest.approx([11, 2])
    assert play(jobs, oracle=True) == pytest.approx([11, 1])


def test_who_finds_no_slot_waits_and_a_shorter_one_goes_before_under_the_oracle() -> None:
    jobs = [(0.0, 8.0)] * SLOTS + [(1.0, 1.0)]
    assert play(jobs, oracle=False) == pytest.approx([32] * SLOTS + [32])
    assert play(jobs, oracle=True)[-1] == pytest.approx(1)


def test_an_idle_machine_waits_for_the_next() -> None:
    assert play([(0.0, 1.0), (5.0, 2.0)], oracle=True) == pytest.approx([1, 2])
