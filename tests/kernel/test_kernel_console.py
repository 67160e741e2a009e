"""The ring of messages behind dmesg."""

from functools import partial

from llmsh.abi.levels import ERR, WARN
from llmsh.drivers.fakeclock import FakeClock
from llmsh.kernel.console import FOLLOWERS_MAX, LINE_MAX, Console


def test_messages_are_numbered_stamped_and_handed_on() -> None:
    clock, seen = FakeClock(start=50, epoch=2000), list[str]()
    console = Console(clock, seen.append)
    console.say("first")
    clock.advance(1.5)
    console.say("two\nlines")
    assert console.rows() == [
        {"n": 1, "time": 2000.0, "up_ms": 0, "level": "info", "line": "first"},
        {"n": 2, "time": 2001.5, "up_ms": 1500, "level": "info", "line": "two lines"},
    ]
    assert seen == ["first", "two lines"]
    assert [row["n"] for row in console.rows(after=1)] == [2]


def test_a_message_may_begin_with_its_level() -> None:
    seen = list[str]()
    console = Console(FakeClock(), seen.append)
    for line in (f"{ERR}gone", "there", f"{WARN}", "\x019 is none"):
        console.say(line)
    assert [(row["level"], row["line"]) for row in console.rows()] == [
        ("err", "gone"),
        ("info", "there"),
        ("warn", ""),
        ("info", "\x019 is none"),
    ]
    assert seen == ["gone", "there", "", "\x019 is none"]


def test_only_the_last_are_kept_and_numbers_go_on() -> None:
    console = Console(FakeClock(), size=3)
    for number in range(10):
        console.say(f"{number}")
    assert [(row["n"], row["line"]) for row in console.rows()] == [(8, "7"), (9, "8"), (10, "9")]
    console.say("x" * 5000)
    assert len(console.rows()[-1]["line"]) == LINE_MAX


def test_a_follower_is_called_once_and_may_follow_again() -> None:
    console, seen = Console(FakeClock()), list[int]()

    def again() -> None:
        seen.append(console.last)
        console.follow(again)

    console.follow(again)
    stop = console.follow(lambda: seen.append(-1))
    stop()
    console.say("a")
    console.say("b")
    assert seen == [1, 2]


def test_followers_have_a_bound_and_the_oldest_is_told() -> None:
    console, seen = Console(FakeClock()), list[int]()
    for number in range(FOLLOWERS_MAX + 1):
        console.follow(partial(seen.append, number))
    assert seen == [0]
