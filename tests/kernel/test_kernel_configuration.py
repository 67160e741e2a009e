"""The best configuration as a function of a table. The figures are those of docs/design.md's machines, or plain."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.kernel.configuration import GAIN, Configuration, Front, Limits, best, better, rate, splits
from llmsh.kernel.rates import BATCHES, Point, Rates

Speeds = Mapping[tuple[int, int], tuple[float, ...]]
TWO = Limits(cpus=2, cores=2, seats=32)


def table(speeds: Speeds) -> Rates:
    """Tokens a second of all cores together, for 1, 2, 4, 8, 16 (and 32) sequences a core."""
    rates = Rates()
    for (cores, threads), each in speeds.items():
        for batch, speed in zip(BATCHES, each, strict=False):
            rates.measured(Point(cores, threads, batch), 1000 * cores * batch / speed)
        rates.measured(Point(cores, threads, 1, 128), 1000 / threads)
    return rates


Q8: dict[tuple[int, int], tuple[float, ...]] = {
    # One thread: 139, 68, 95, 156, 255. Two in a batch are slower than the two in turn.
    (1, 1): (139, 68, 95, 156, 255, 300),
    (1, 2): (170, 120, 150, 280, 500, 590),
    (2, 1): (260, 130, 180, 300, 490, 570),
}


def chosen(runnable: int, speeds: Speeds = Q8, limits: Limits = TWO) -> Configuration:
    found = best(table(speeds), limits, runnable, 0.0)
    assert found is not None
    return found[0]


def test_without_a_table_nothing_is_chosen() -> None:
    assert best(Rates(), TWO, 1, 0.0) is None
    assert better(Rates(), TWO, None, 1, 0.0) is None


def test_one_has_the_threads_that_are_fastest() -> None:
    assert chosen(1)[:2] == (1, 2)
    noisy = Q8 | {(1, 2): (60, 50, 90, 200, 400, 500)}
    assert chosen(1, noisy)[:2] == (1, 1)


def test_two_have_a_core_each() -> None:
    assert chosen(2) == (2, 1, 1, 1)


def test_where_a_small_batch_is_slow_they_take_turns() -> None:
    one = Limits(cpus=1, cores=1, seats=32)
    alone = {(1, 1): Q8[1, 1]}
    assert [chosen(count, alone, one).seats for count in (1, 2, 4)] == [1, 1, 1]
    assert chosen(8, alone, one).seats == 8
    assert chosen(16, alone, one).seats == 16
    # In turn, all of them.
    assert rate(table(alone), 1, 1, 1, 4, 0.0) == pytest.approx(139)


def test_many_are_gathered_where_a_large_batch_wins() -> None:
    gathered = Q8 | {(1, 2): (170, 120, 150, 280, 600, 900)}
    assert chosen(32, gathered)[:2] == (1, 2)
    assert chosen(32, gathered).seats == 32
    assert chosen(4, gathered)[:2] == (2, 1)


def test_of_what_is_alike_the_one_that_serves_most_at_once() -> None:
    flat = {(1, 1): (100, 101, 102, 101, 100, 100)}
    assert chosen(8, flat, Limits(1, 1, 32)).seats == 8


def test_what_the_user_fixes_is_kept() -> None:
    assert chosen(1, limits=TWO._replace(fixed_threads=1)).threads == 1
    assert chosen(2, limits=TWO._replace(fixed_seats=4)).seats == 4
    assert chosen(32, Q8 | {(1, 2): (9, 9, 9, 9, 9, 9999)}, TWO._replace(fixed_cores=2)).cores == 2
    assert chosen(1, limits=TWO._replace(fixed_cores=2)).cores == 1


def test_cells_can_ask_for_more_cores_than_the_rates() -> None:
    fast = Q8 | {(1, 2): (1000, 1000, 1000, 1000, 1000, 1000)}
    found = best(table(fast), TWO, 8, 0.0, least=2)
    assert found is not None
    assert found[0].cores == 2
    assert better(table(fast), TWO, chosen(8, fast), 8, 0.0, least=2) == found[0]


def test_a_little_better_is_not_worth_a_change() -> None:
    alike = {(1, 1): (100, 50, 50, 50), (1, 2): (100 * (1 + GAIN) - 1, 50, 50, 50)}
    limits = Limits(2, 1, 32)
    here = Configuration(1, 1, 1, 1)
    assert better(table(alike), limits, here, 1, 0.0) is None
    found = better(table(alike | {(1, 2): (120, 50, 50, 50)}), limits, here, 1, 0.0)
    assert found is not None
    assert found.threads == 2


def test_seats_alone_may_change_for_any_gain() -> None:
    flat = table({(1, 1): (100, 150, 200, 210, 212, 213)})
    one = Limits(cpus=1, cores=1, seats=32)
    eight = better(flat, one, None, 8, 0.0)
    assert eight == Configuration(1, 1, 1, 8)
    assert better(flat, one, eight, 13, 0.0) == Configuration(1, 1, 1, 13)
    assert better(flat, one, Configuration(1, 1, 1, 13), 13, 0.0) is None


def test_noise_changes_the_threads_and_its_end_changes_them_back() -> None:
    rates, now = table(Q8), 0.0
    here = chosen(1)
    for _ in range(40):
        now += 0.01
        rates.saw(1, 2, 1, 0, 1000 / 40, now)
    found = better(rates, TWO, here, 1, now)
    assert found is not None
    assert found.threads == 1
    assert better(rates, TWO, found, 1, now) is None
    again = better(rates, TWO, found, 1, now + 600)
    assert again is not None
    assert again.threads == 2


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(1, 1, 16), [(1, 1)]),
        (Limits(2, 2, 16), [(1, 1), (1, 2), (2, 1)]),
        (Limits(2, 1, 16), [(1, 1), (1, 2)]),
        (Limits(2, 4, 16), [(1, 1), (1, 2), (2, 1)]),
        (Limits(6, 3, 16), [(1, 1), (1, 2), (1, 4), (1, 5), (1, 6), (2, 1), (2, 3), (3, 1), (3, 2)]),
        (
            Limits(6, 4, 16),
            [(1, 1), (1, 2), (1, 4), (1, 5), (1, 6), (2, 1), (2, 3), (3, 1), (3, 2), (4, 1)],
        ),
        (Limits(4, 4, 16, fixed_threads=2), [(1, 2), (2, 2), (4, 1)]),
    ],
)
def test_splits_never_have_more_threads_than_there_are(limits: Limits, expected: list[tuple[int, int]]) -> None:
    assert splits(limits) == expected


@given(
    st.lists(st.floats(1, 1000), min_size=18, max_size=18),
    st.integers(1, 40),
    st.integers(0, 3),
    st.integers(0, 2),
)
def test_nothing_better_is_left_out(speeds: list[float], runnable: int, seats: int, cores: int) -> None:
    rates = table({split: tuple(speeds[6 * i : 6 * i + 6]) for i, split in enumerate(splits(TWO))})
    limits = TWO._replace(fixed_seats=seats, fixed_cores=cores)
    found = best(rates, limits, runnable, 0.0)
    assert found is not None
    configuration, speed = found
    assert configuration.cores <= min(2, runnable)
    assert configuration.cores * configuration.threads <= 2
    assert configuration.seats == seats or not seats
    assert speed == pytest.approx(rate(rates, *configuration[:2], configuration.seats, runnable, 0.0))
    if not seats and not cores:
        for count, threads in splits(limits):
            for batch in BATCHES:
                if count <= runnable and count * batch <= runnable:
                    assert speed >= 0.96 * rate(rates, count, threads, batch, runnable, 0.0)
    assert better(rates, limits, configuration, runnable, 0.0) is None


SLOW: dict[tuple[int, int], tuple[float, ...]] = {(1, 1): (7.1, 8), (1, 2): (12.5, 12.1), (2, 1): (14.3, 14.4)}
"""A token takes 80 ms on one core of two threads, and 140 on each of two."""


def test_the_foreground_keeps_its_time_whatever_two_cores_would_make() -> None:
    two = Configuration(2, 1, 2, 1)
    assert chosen(2, SLOW)[:2] == (2, 1)
    found = best(table(SLOW), TWO, 2, 0.0, front=Front(1, 100.0))
    assert found is not None
    assert found[0][:2] == (1, 2)
    assert better(table(SLOW), TWO, two, 2, 0.0, front=Front(1, 100.0)) == found[0]
    assert better(table(SLOW), TWO, found[0], 2, 0.0, front=Front(1, 100.0)) is None
    assert better(table(SLOW), TWO, two, 2, 0.0, front=Front(1, 0.0)) is None, "no time is to be kept"
    assert better(table(SLOW), TWO, found[0], 2, 0.0) is not None, "the foreground has left"


def test_where_no_configuration_keeps_it_the_foreground_has_the_nearest() -> None:
    found = best(table(SLOW), TWO, 2, 0.0, front=Front(1, 50.0))
    assert found is not None
    assert found[0][:2] == (1, 2)


def test_what_keeps_the_time_by_a_little_is_kept_and_not_chosen() -> None:
    """So it does not swing with the noise."""
    here = best(table(SLOW), TWO, 2, 0.0, front=Front(1, 150.0))
    assert here is not None
    assert here[0][:2] == (1, 2), "140 of 150 is planned by nobody"
    assert better(table(SLOW), TWO, Configuration(2, 1, 2, 1), 2, 0.0, front=Front(1, 150.0)) is None


def test_two_persons_have_a_core_each_where_one_cannot_serve_both_in_time() -> None:
    found = best(table(SLOW), TWO, 2, 0.0, front=Front(2, 160.0))
    assert found is not None
    assert found[0][:2] == (2, 1)
