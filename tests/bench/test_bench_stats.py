"""Medians, percentiles and intervals: on samples whose answers are known."""

import random

import pytest

from bench import stats
from bench.pairs import alternate


def test_percentiles_are_interpolated() -> None:
    values = [4.0, 1.0, 3.0, 2.0, 5.0]
    assert stats.percentile(values, 0.0) == 1.0
    assert stats.percentile(values, 0.5) == 3.0
    assert stats.percentile(values, 0.9) == pytest.approx(4.6)
    assert stats.percentile(values, 1.0) == 5.0
    assert stats.percentile([7.0], 0.99) == 7.0


def test_an_interval_holds_the_median_of_most_draws() -> None:
    draw = random.Random(5)
    held = 0
    for _ in range(60):
        found = stats.estimate([draw.gauss(10.0, 2.0) for _ in range(40)])
        assert found.low <= found.middle <= found.high
        held += found.low <= 10.0 <= found.high
    assert held >= 50


def test_what_does_not_vary_has_no_width() -> None:
    assert stats.estimate([3.0] * 10) == stats.Estimate(3.0, 3.0, 3.0, 10)


def test_pairs_take_out_what_the_machine_did_to_both() -> None:
    machine = [1.0, 3.0, 0.5, 8.0]
    assert stats.ratio([0.9 * each for each in machine], machine).high == pytest.approx(0.9)
    assert stats.difference([each + 2 for each in machine], machine).low == pytest.approx(2.0)
    with pytest.raises(ValueError, match="zip"):
        stats.ratio([1.0], [1.0, 2.0])


def test_one_pair_is_not_shown_as_an_interval() -> None:
    assert stats.ratio([2.0], [1.0]).shown() == "2.00 (one pair)"
    assert stats.ratio([2.0, 2.0], [1.0, 1.0]).shown(".1f") == "2.0 [2.0, 2.0]"


def test_pairs_take_turns_at_going_first() -> None:
    order: list[str] = []

    def note(who: str) -> str:
        order.append(who)
        return who

    found = alternate(3, lambda number: note(f"a{number}"), lambda number: note(f"b{number}"))
    assert found == [("a0", "b0"), ("a1", "b1"), ("a2", "b2")]
    assert order == ["a0", "b0", "b1", "a1", "a2", "b2"]
