"""The stop matcher against a naive one that sees the whole answer at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.engine.matcher import Matcher, unfinished

PIECES = st.lists(
    st.sampled_from([b"a", b"b", b"ab", b"ba", b"", "é".encode(), b"\xe2", b"\x98\x83", b"\xff"]), max_size=20
)
STOPS = st.lists(st.sampled_from(["ab", "ba", "aab", "é", "b☃", "abab"]), max_size=3, unique=True)


@given(PIECES, STOPS)
def test_what_is_safe_never_has_to_be_taken_back(pieces: list[bytes], stops: list[str]) -> None:
    matcher = Matcher(tuple(stops))
    text, safe = b"", 0
    for piece in pieces:
        text += piece
        stopped = matcher.push(piece)
        assert matcher.safe >= safe
        safe = matcher.safe
        starts = [at for at in (text.find(stop.encode()) for stop in stops) if at >= 0]
        assert stopped == bool(starts)
        if starts:
            assert safe == min(starts)
            return
        held = text[safe:]
        claims = [stop for stop in stops for size in range(1, len(held) + 1) if stop.encode().startswith(held[-size:])]
        assert not held or claims or unfinished(text)


@given(st.text(max_size=30), st.integers(1, 4))
def test_all_of_a_text_without_stops_is_safe_up_to_its_last_whole_character(text: str, size: int) -> None:
    data = text.encode("utf-8", "surrogatepass")
    matcher = Matcher(())
    for at in range(0, len(data), size):
        matcher.push(data[at : at + size])
        data[: matcher.safe].decode("utf-8", "surrogatepass")
    assert matcher.safe == len(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"a", 0),
        (b"\xc3", 1),
        (b"\xc3\xa9", 0),
        (b"\xe2\x98", 2),
        (b"\xf0\x9f\x98", 3),
        (b"\x80\x80\x80", 0),
        (b"\xff", 0),
    ],
)
def test_unfinished_characters_are_counted(data: bytes, expected: int) -> None:
    assert unfinished(data) == expected


def test_the_earliest_stop_wins_when_one_piece_ends_two() -> None:
    matcher = Matcher(("end", "the end"))
    assert matcher.push(b"this is the end, my friend")
    assert matcher.safe == len(b"this is ")


def test_bytes_after_a_stop_count_for_nothing() -> None:
    matcher = Matcher(("x",))
    matcher.push(b"abx")
    assert matcher.push(b"cd")
    assert matcher.safe == 2
