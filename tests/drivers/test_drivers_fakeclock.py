"""The clock of the tests: order, cancelling, calls that ask for calls."""

from collections.abc import Callable

import pytest

from llmsh.drivers.fakeclock import FakeClock


def test_calls_are_made_in_the_order_of_their_time_and_then_of_asking() -> None:
    clock, made = FakeClock(start=5.0), list[tuple[str, float]]()

    def note(name: str) -> Callable[[], None]:
        return lambda: made.append((name, clock.now()))

    for name, seconds in (("late", 2.0), ("first", 1.0), ("second", 1.0), ("now", 0.0)):
        clock.call_later(seconds, note(name))
    clock.advance(1.5)
    assert made == [("now", 5.0), ("first", 6.0), ("second", 6.0)]
    assert clock.now() == 6.5
    clock.run_until_idle()
    assert made[-1] == ("late", 7.0)


def test_a_cancelled_call_is_not_made() -> None:
    clock, made = FakeClock(), list[int]()
    timer = clock.call_later(1, lambda: made.append(1))
    clock.call_later(0.5, timer.cancel)
    assert clock.pending == 2
    clock.advance(3)
    assert made == []
    assert clock.pending == 0


def test_settle_makes_what_is_due_now_and_lets_no_time_pass() -> None:
    clock, made = FakeClock(), list[str]()
    clock.call_later(0, lambda: clock.call_later(0, lambda: made.append("inner")))
    clock.call_later(0.001, lambda: made.append("later"))
    before = clock.now()
    clock.settle()
    assert (made, clock.now()) == (["inner"], before)


def test_a_call_that_asks_for_itself_at_once_is_found() -> None:
    clock = FakeClock()

    def again() -> None:
        clock.call_later(0, again)

    again()
    with pytest.raises(AssertionError, match="without end"):
        clock.advance(1)


def test_run_until_says_when_it_never_comes() -> None:
    clock = FakeClock()
    clock.call_later(10, lambda: None)
    with pytest.raises(AssertionError, match="not done"):
        clock.run_until(lambda: False, seconds=5)


def test_the_date_goes_on_with_the_clock() -> None:
    clock = FakeClock(start=10, epoch=1000)
    clock.advance(2.5)
    assert (clock.now(), clock.wall()) == (12.5, 1002.5)
