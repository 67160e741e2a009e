"""One input for several processes: each gets all of it, and none gets far ahead."""

from llmsh.lib.tee import AHEAD, Tee


def test_each_gets_all_and_it_is_read_once() -> None:
    tee = Tee([1, 2])
    assert not tee.hungry()
    tee.want(1, 3)
    assert tee.hungry()
    tee.feed(b"abcd")
    assert tee.give() == [(1, b"abc")]
    tee.want(2, 10)
    tee.want(1, 10)
    assert not tee.hungry()
    assert sorted(tee.give()) == [(1, b"d"), (2, b"abcd")]
    tee.want(1, 1)
    tee.want(2, 1)
    tee.feed(b"")
    assert tee.give() == [(1, b""), (2, b"")]


def test_nobody_gets_far_ahead() -> None:
    tee = Tee([1, 2])
    tee.feed(b"x" * AHEAD)
    at = 0
    while at < AHEAD:
        tee.want(1, AHEAD)
        at += sum(len(data) for _, data in tee.give())
    tee.want(1, 1)
    assert not tee.hungry(), "the slowest has had nothing"
    tee.forget(2)
    assert tee.hungry()
