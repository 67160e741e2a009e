"""The table of rates as a function: between what was measured, corrected, kept as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.kernel.rates import CLIP, COMMON, INPUT_COST, MEMORY_S, Broken, Point, Rates, restored


def table(**ms: float) -> Rates:
    """One core of one thread: b1=10 is a step of one sequence, t32=100 one of 32 tokens of input."""
    rates = Rates(5.0)
    for name, value in ms.items():
        size = int(name[1:])
        rates.measured(Point(1, 1, size) if name[0] == "b" else Point(1, 1, 1, size), value)
    return rates


def test_nothing_is_known_of_what_was_not_measured() -> None:
    rates = table(b1=10)
    assert (rates.generate_ms(2, 1, 1, 0), rates.input_ms(1, 1, 32, 0), rates.input_cost(0)) == (0, 0, INPUT_COST)
    assert rates.splits() == [(1, 1)]


def test_between_two_points_and_beyond_them() -> None:
    rates = table(b1=10, b2=20, b4=24, t32=64, t64=96)
    assert rates.generate_ms(1, 1, 3, 0) == pytest.approx(22)
    assert rates.generate_ms(1, 1, 8, 0) == pytest.approx(48)
    assert rates.input_ms(1, 1, 16, 0) == pytest.approx(32)
    assert rates.input_ms(1, 1, 48, 0) == pytest.approx(80)
    assert rates.input_ms(1, 1, 128, 0) == pytest.approx(192)


def test_input_costs_what_it_takes_at_its_best() -> None:
    rates = table(b1=10, t128=640)
    assert rates.input_cost(0) == pytest.approx(0.5)
    rates.measured(Point(1, 2, 1, 128), 320)
    assert rates.input_cost(0) == pytest.approx(0.25)


def test_what_takes_longer_is_believed_for_a_while() -> None:
    rates = table(b1=10, b8=20)
    for at in range(100):
        rates.saw(1, 1, 1, 0, 20.0, at / 100)
    assert rates.generate_ms(1, 1, 1, 1) == pytest.approx(20, rel=0.05)
    # The machine may be slower, or only this point: of what was not tried, half is believed.
    assert rates.generate_ms(1, 1, 8, 1) == pytest.approx(20 * 2**COMMON, rel=0.05)
    assert 10 < rates.generate_ms(1, 1, 1, 1 + MEMORY_S) < 14
    assert rates.generate_ms(1, 1, 1, 1 + 10 * MEMORY_S) == pytest.approx(10, rel=0.01)
    assert not rates.improved


def test_what_is_as_slow_when_it_is_tried_is_no_better() -> None:
    rates = table(b1=10, b8=20)
    for at in range(400):
        rates.saw(1, 1, 1 if at % 2 else 8, 0, 20.0 if at % 2 else 40.0, at / 100)
    one, eight = (rates.factor(Point(1, 1, batch), 4) for batch in (1, 8))
    assert (one, eight) == pytest.approx((2, 2), rel=0.1)
    assert rates.drift.now(4) > 1.05 * 2**COMMON  # both say so


def test_what_is_faster_was_measured_wrongly() -> None:
    rates = table(b1=10)
    for at in range(100):
        rates.saw(1, 1, 1, 0, 5.0, at)
    assert rates.generate_ms(1, 1, 1, 1e9) == pytest.approx(5, rel=0.05)
    assert rates.improved


def test_what_is_faster_than_between_two_points_says_nothing_of_them() -> None:
    rates = table(b8=40, b16=60)
    rates.doubtful = {*rates.ms}
    for at in range(100):
        rates.saw(1, 1, 13, 0, 42.0, at)
    assert (rates.ms[Point(1, 1, 8)], rates.ms[Point(1, 1, 16)]) == (40, 60)


def test_what_was_measured_in_the_same_bad_moment_is_no_better_known() -> None:
    rates = table(b1=10, b4=20, b8=40)
    rates.doubtful = {Point(1, 1, 1), Point(1, 1, 4)}
    for at in range(100):
        rates.saw(1, 1, 1, 0, 5.0, at)
    assert [rates.ms[Point(1, 1, batch)] for batch in (1, 4, 8)] == pytest.approx([5, 10, 40], rel=0.05)


def test_one_step_that_was_held_up_says_little() -> None:
    rates = table(b1=10)
    rates.saw(1, 1, 1, 0, 60_000.0, 0)
    assert rates.generate_ms(1, 1, 1, 0) < 12


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0.01, 1e6), st.floats(0, 100)), max_size=50))
def test_corrections_have_bounds(samples: list[tuple[int, float, float]]) -> None:
    rates = table(b1=10, b4=12, b32=40)
    now = 0.0
    for batch, ms, passed in samples:
        now += passed
        rates.saw(1, 1, batch, 0, ms, now)
        rates.saw(7, 7, batch, 0, ms, now)  # of which nothing is known
        assert all(1 <= rates.factor(point, now) <= CLIP for point in rates.ms)
    assert all(ms > 0 for ms in rates.ms.values())


def test_what_is_kept_is_read_again() -> None:
    rates = table(b1=10.25, b2=20, t32=64)
    rates.spent_ms = 123.0
    rates.doubtful.add(Point(1, 1, 2))
    again = restored(json.loads(json.dumps(rates.record())))
    assert again.doubtful == {Point(1, 1, 2)}
    assert (again.ms, again.made, again.spent_ms) == (rates.ms, 5.0, 123.0)


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"version": 0, "made": 0, "spent_ms": 0, "points": []},
        {"version": 1, "made": 0, "spent_ms": 0, "points": 5},
        {"version": 1, "made": 0, "spent_ms": 0, "points": [[1, 1, 1, 1, -5]]},
        {"version": 1, "made": 0, "spent_ms": 0, "points": [[1, 1, 1, 1, "x"]]},
        {"version": 1, "made": 0, "spent_ms": 0, "points": [[1, 1, 10**9, 1, 5]]},
        {"version": 1, "made": 0, "spent_ms": 0, "points": [[1, True, 1, 1, 5]]},
        {"version": 1, "made": 0, "spent_ms": 0, "points": [[1]]},
        {"version": 1, "made": 0, "spent_ms": 0, "points": [[1, 1, 1, 1, float("nan")]]},
    ],
)
def test_what_is_no_table_is_refused(record: Any) -> None:
    with pytest.raises(Broken):
        restored(record)
