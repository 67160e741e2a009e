"""Texts cut from a stream of bytes, whatever its pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.errors import Error
from llmsh.abi.limits import ARGS_MAX
from llmsh.lib.items import Items, delimiter


def cut(items: Items, pieces: list[bytes]) -> list[str]:
    texts: list[str] = []
    for piece in [*filter(None, pieces), b""]:
        items.feed(piece)
        while (text := items.take()) is not None:
            texts.append(text)
    assert items.done
    return texts


@given(st.lists(st.binary(max_size=8)), st.integers(1, 3))
def test_pieces_do_not_matter(pieces: list[bytes], count: int) -> None:
    lines = [line for line in b"".join(pieces).split(b"\n") if line.strip()]
    groups = [b"\n".join(lines[at : at + count]) for at in range(0, len(lines), count)]
    assert [text.encode("utf-8", "surrogateescape") for text in cut(Items(count=count), pieces)] == groups


def test_a_text_is_bounded() -> None:
    items = Items()
    items.feed(b"a\n" + b"x" * (ARGS_MAX + 1))
    assert items.take() == "a"
    with pytest.raises(Error, match="longer than"):
        items.take()


def test_a_group_is_of_as_many_items_as_fit_an_argument() -> None:
    items = Items(count=3)
    half = b"x" * (ARGS_MAX // 2)
    lines = [half, half[1:], b"a", b"y" * ARGS_MAX, b"b", b"c"]
    assert cut(items, [b"\n".join(lines)]) == [
        (half + b"\n" + half[1:]).decode(),
        "a",
        "y" * ARGS_MAX,
        "b\nc",
    ]


def test_names_of_marks() -> None:
    assert [delimiter(name) for name in (";", r"\t", r"\0", r"\x3b", "\\")] == [b";", b"\t", b"\0", b";", b"\\"]
    for name in ("", "ab", r"\q", r"\x", r"\xfff", r"\x g"):
        assert delimiter(name) == b""
