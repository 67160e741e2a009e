"""What is measured next, and what of it becomes a table."""

from collections.abc import Callable

from llmsh.kernel.calibration import AGAIN_S, SPENT_MS, STEP_MS, TRIES, Calibration, disturbed, points, typical
from llmsh.kernel.configuration import Limits
from llmsh.kernel.rates import BATCHES, CHUNKS, Point, Rates, restored

TWO = Limits(cpus=2, cores=2, seats=32)


def play(calibration: Calibration, speed: Callable[[Point], float]) -> list[Point]:
    """Measure to the end; what was measured, in order."""
    order: list[Point] = []
    while (point := calibration.next(0)) is not None:
        order.append(point)
        assert len(order) < 1000
        calibration.ended(point, [[speed(point)] * 4] * point.cores, "")
    return order


def test_everything_is_measured_in_two_rounds_what_matters_most_first() -> None:
    calibration = Calibration(Rates(), TWO)
    order = play(calibration, lambda point: 1.0)
    count = 3 * (len(BATCHES) + len(CHUNKS))
    assert order[:count] == order[count:]
    assert len({*order}) == count
    assert order[:3] == [Point(1, 1, 1), Point(1, 2, 1), Point(2, 1, 1)]
    assert calibration.progress == (33, 33)
    assert calibration.rates.ms == dict.fromkeys(points(TWO), 1.0)


def test_a_larger_batch_than_is_ever_used_is_not_measured() -> None:
    assert max(point.batch for point in points(TWO._replace(seats=4))) == 4
    assert max(point.batch for point in points(TWO._replace(fixed_seats=8))) == 8


def test_steps_that_would_take_too_long_are_left_out() -> None:
    rates = Rates()
    order = play(Calibration(rates, TWO), lambda point: STEP_MS / 64 * point.batch * point.tokens)
    assert max(point.tokens for point in order) == 64
    # The first of a kind is tried: nothing is known before. Input is likely to cost some part of what is generated.
    slow = play(Calibration(Rates(), TWO), lambda point: 2 * STEP_MS)
    assert {(point.batch, point.tokens) for point in slow} == {(1, 1)}
    uneven = play(Calibration(Rates(), TWO), lambda point: 2 * STEP_MS if point.tokens > 1 else STEP_MS / 8)
    assert {point.tokens for point in uneven} == {1, 32}


def test_there_is_an_end_to_what_it_may_cost() -> None:
    rates = Rates()
    calibration = Calibration(rates, TWO)
    order = play(calibration, lambda point: STEP_MS)
    assert rates.spent_ms <= SPENT_MS + 4 * STEP_MS
    assert order


def test_what_gave_way_is_measured_again_and_what_fails_is_left_out() -> None:
    calibration = Calibration(Rates(), TWO)
    first = calibration.next(0)
    assert first is not None
    for _ in range(3 * TRIES):
        calibration.ended(first, [[1.0]], "gave way")
        assert calibration.next(0) == first
    for _ in range(TRIES):
        assert calibration.next(0) == first
        calibration.ended(first, [[0.0]], "no room")
    assert calibration.next(0) != first
    assert first not in calibration.rates.ms


def test_a_table_that_is_half_full_is_gone_on_with() -> None:
    rates = Rates()
    rates.measured(Point(1, 1, 1), 5.0)
    assert Calibration(rates, TWO).next(0) == Point(1, 2, 1)


def test_of_two_rounds_the_least_counts() -> None:
    rates, a, b = Rates(), Point(1, 1, 1), Point(1, 2, 1)
    limits = TWO._replace(cores=1, fixed_seats=1)
    calibration = Calibration(rates, limits)
    times = {a: [18.0, 14.0], b: [9.0, 12.0]}
    for point in play(calibration, lambda point: times.get(point, [1.0, 1.0])[point in rates.ms]):
        assert point in points(limits)
    assert (rates.ms[a], rates.ms[b], rates.doubtful) == (14.0, 9.0, set())


def test_a_round_that_was_disturbed_does_not_take_the_place_of_one_that_was_not() -> None:
    rates, point = Rates(), Point(1, 1, 1)
    calibration = Calibration(rates, TWO)
    calibration.ended(point, [[10.0] * 4], "")
    calibration.ended(point, [[12.0, 40.0, 90.0, 90.0]], "")
    assert (rates.ms[point], rates.doubtful) == (10.0, set())
    other = Point(1, 2, 1)
    calibration.ended(other, [[12.0, 12.0, 90.0, 90.0]], "")
    assert rates.doubtful == {other}
    calibration.ended(other, [[12.5] * 4], "")
    assert (rates.ms[other], rates.doubtful) == (12.5, set())


def test_what_was_disturbed_in_both_rounds_is_measured_again_in_a_minute() -> None:
    rates, point = Rates(), Point(1, 1, 1)
    calibration = Calibration(rates, TWO._replace(cores=1, fixed_threads=1, fixed_seats=1))
    for _ in range(2):
        calibration.ended(point, [[12.0, 12.0, 90.0, 90.0]], "", 5.0)
    play(calibration, lambda point: 1.0)
    assert (rates.doubtful, calibration.wait(5.0)) == ({point}, AGAIN_S[0])


def test_a_disturbed_step_does_not_count() -> None:
    assert typical([50.0, 10.0, 10.1, 10.2, 90.0]) == 10.1
    assert typical([7.0]) == 7.0
    rates = Rates()
    Calibration(rates, TWO).ended(Point(2, 1, 1), [[10.0] * 5, [20.0] * 5], "")
    assert rates.ms == {Point(2, 1, 1): 15.0}


def test_what_was_disturbed_is_measured_again_after_a_while() -> None:
    rates = Rates()
    calibration = Calibration(rates, TWO)
    play(calibration, lambda point: 10.0)
    point = Point(1, 2, 1)
    assert calibration.wait(0) is None
    rates.measured(point, 900.0)
    rates.doubtful.add(point)
    rates.spent_ms = SPENT_MS
    again = Calibration(rates, TWO, now=5.0)
    assert again.complete
    assert again.wait(5) == AGAIN_S[0]
    assert again.next(5) is None
    now = 5 + AGAIN_S[0]
    assert again.next(now) == point
    again.ended(point, [[12.0, 40.0, 300.0, 500.0]], "", now)
    assert rates.ms[point] == 40.0
    # The machine was disturbed when the rest was measured, too.
    assert rates.spent_ms == 0
    assert again.next(now) is None
    again.ended(point, [[50.0, 60.0, 300.0, 500.0]], "", now + AGAIN_S[1])
    assert rates.ms[point] == 40.0
    again.ended(point, [[50.0] * 4], "", now + AGAIN_S[2])
    assert (rates.ms[point], rates.doubtful, again.wait(now)) == (50.0, set(), None)


def test_what_was_disturbed_and_now_always_fails_is_left_out() -> None:
    rates, point = Rates(), Point(1, 1, 32)
    play(Calibration(rates, TWO), lambda point: 10.0)
    rates.doubtful.add(point)
    assert Calibration(rates, TWO._replace(seats=16)).wait(0) is None  # a smaller engine has no such step
    again, now = Calibration(rates, TWO), AGAIN_S[0]
    for _ in range(TRIES):
        assert again.next(now) == point
        again.ended(point, [[0.0]], "no room", now)
    assert (again.next(now), again.wait(now)) == (None, None)
    assert rates.ms[point] == 10.0


def test_there_is_an_end_to_measuring_again() -> None:
    rates, now = Rates(), 0.0
    calibration = Calibration(rates, TWO._replace(cpus=1, cores=1, seats=1))
    count = 0
    while (wait := calibration.wait(now)) is not None:
        now += wait
        point = calibration.next(now)
        assert point is not None
        calibration.ended(point, [[1.0, 2.0, 3.0, 4.0]], "", now)
        count += 1
    assert count == (1 + len(CHUNKS)) * (2 + len(AGAIN_S))
    assert calibration.complete


def test_few_steps_or_uneven_ones_are_doubtful() -> None:
    assert disturbed([500.0])
    assert disturbed([10.0, 10.0, 20.0, 20.0])
    assert not disturbed([90.0, 10.0, 10.1, 10.2, 10.3, 10.2, 10.1])


def test_who_did_not_get_the_cpus_is_doubtful_however_even_the_steps_are() -> None:
    rates = Rates()
    Calibration(rates, TWO).ended(Point(1, 1, 1), [[10.0] * 5], "", share=0.5)
    Calibration(rates, TWO).ended(Point(1, 2, 1), [[10.0] * 5], "", share=0.97)
    assert rates.doubtful == {Point(1, 1, 1)}


def test_a_table_of_bad_moments_is_made_anew_once_and_no_more() -> None:
    rates, point = Rates(), Point(1, 2, 1)
    rates.measured(point, 900.0)
    spent = []
    for ms in (400.0, 200.0, 100.0):  # each time the machine turns out to be twice as fast
        rates.spent_ms = SPENT_MS
        rates.doubtful.add(point)
        calibration = Calibration(rates, TWO)
        assert calibration.complete
        calibration.ended(point, [[ms] * 4], "", AGAIN_S[0])
        assert rates.ms[point] == ms
        spent.append(rates.spent_ms)
        rates = restored(rates.record())  # the next life of the daemon
    assert spent == [0.0, SPENT_MS, SPENT_MS]
