"""The whole input, in one piece or in parts; and lines: what is asked for and what is given out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.errors import Error
from llmsh.abi.program import Count, Counted, Input, Read, Signal
from llmsh.abi.unit import Unit
from llmsh.programs import intake, lines, supply
from llmsh.programs.intake import COUNT_MAX, LOOK, PART_MIN, READ_MAX, Item
from tests.support.programrun import CONTEXT, image, tokens

PARTS = Unit(name="it", kind="prompt", description="", long="parts", part=100)


def parts_of(data: bytes, cut: int = READ_MAX, unit: Unit = PARTS) -> list[Item]:
    """All items of an input."""
    inn, at, items = intake.opened(image("prompt", unit=unit)), 0, []
    while True:
        inn, need = intake.advance(inn)
        match need:
            case Read():
                piece = data[at : at + min(cut, need.max)]
                at += len(piece)
                inn = intake.receive(inn, Input(piece, at >= len(data)))
            case Count():
                assert all(0 < len(text) <= COUNT_MAX for text in need.texts)
                assert "".join(need.texts) == inn.text
                inn = intake.receive(inn, Counted([tokens(text) for text in need.texts]))
            case Item():
                items.append(need)
            case _:
                return items


def test_an_input_that_fits_is_whole() -> None:
    assert parts_of(b"a few words") == [Item("a few words", whole=True)]


def test_parts_are_not_whole_and_fit() -> None:
    items = parts_of(b"word " * 1000)
    assert len(items) > 10
    assert not any(item.whole or item.fault for item in items)
    assert all(0 < tokens(item.text) <= 100 for item in items)


def test_the_last_part_is_no_scrap() -> None:
    sizes = [tokens(item.text) for item in parts_of(b"word " * 1000)]
    assert min(sizes[-3:]) > 40


@given(st.text(st.sampled_from("ab .\n!é漢"), max_size=3000), st.integers(1, 700))
def test_parts_together_are_the_input(text: str, cut: int) -> None:
    items = parts_of(text.encode(), cut)
    assert "".join("".join(item.text.split()) for item in items) == "".join(text.split())
    assert all(item.text.strip() for item in items)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("\n\n", "some words. And more\nhere "),
        (". ", "some words and\nmore "),
        ("。", "some\nwords "),
        ("\n", "some words "),
        (" ", "word"),
    ],
)
def test_a_part_ends_where_the_text_does(end: str, text: str) -> None:
    sentence = text * 3 + "end" + end
    first = parts_of((sentence * 100).encode())[0].text
    assert first.endswith(("end" + end).strip())


def test_a_text_without_any_end_is_cut_all_the_same() -> None:
    items = parts_of(b"x" * 4000)
    assert "".join(item.text for item in items) == "x" * 4000
    assert len(items) >= 10


@pytest.mark.parametrize(("part", "budget"), [(0, CONTEXT // 2), (100, 100), (1, PART_MIN), (10**6, CONTEXT)])
def test_a_part_is_the_units_or_half_the_context(part: int, budget: int) -> None:
    unit = Unit(name="it", kind="prompt", description="", long="parts", part=part)
    assert intake.opened(image("prompt", unit=unit)).budget == budget


def test_nothing_is_read_when_there_is_enough() -> None:
    inn = intake.opened(image("prompt", unit=PARTS))
    inn = intake.receive(inn, Input(b"x" * 100 * LOOK, eof=False))
    assert isinstance(intake.advance(inn)[1], Count)


def test_a_text_of_fewer_tokens_than_it_looked_is_read_on() -> None:
    inn = intake.receive(intake.opened(image("prompt", unit=PARTS)), Input(b"x" * 600, eof=False))
    inn, need = intake.advance(intake.receive(inn, Counted([10])))
    assert need == Read(max=READ_MAX)
    inn, need = intake.advance(intake.receive(inn, Input(b"x" * 600, eof=False)))
    assert isinstance(need, Count)


@pytest.mark.parametrize("more", [True, False])
def test_too_long_says_both_numbers(more: bool) -> None:
    inn = intake.receive(intake.opened(image("prompt")), Input(b"x" * CONTEXT * LOOK, eof=not more))
    inn = intake.receive(inn, Counted([CONTEXT, 1]))
    over = "over " if more else ""
    with pytest.raises(Error, match=f"^.*input of {over}{CONTEXT + 1} tokens: the context holds {CONTEXT}") as info:
        intake.advance(inn)
    assert info.value.code == "E2BIG"


def test_smaller_puts_a_part_back_and_halves_until_it_is_no_use() -> None:
    inn = intake.opened(image("prompt", unit=msgspec.structs.replace(PARTS, part=PART_MIN + 1)))
    half = intake.smaller(inn, "some text")
    assert half is not None
    assert (half.budget, half.text) == (PART_MIN, "some text\n\n")
    assert intake.smaller(half, "some text") is None
    assert intake.smaller(intake.opened(image("prompt")), "some text") is None


@pytest.mark.parametrize("opened", [intake.opened, lines.opened, supply.opened])
def test_events_that_cannot_come_are_bugs(opened: Any) -> None:
    with pytest.raises(TypeError):
        supply.receive(opened(image("prompt")), Signal(2))


# Lines.


def lines_of(data: bytes, cut: int) -> list[Item]:
    inn, at, items = lines.opened(image("filter")), 0, []
    while True:
        inn, need = lines.advance(inn)
        if isinstance(need, Read):
            piece = data[at : at + cut]
            at += len(piece)
            inn = lines.receive(inn, Input(piece, at >= len(data)))
        elif isinstance(need, Item):
            items.append(need)
        else:
            assert need is None
            return items


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b" ", b"\0", b"\xff", b"\xe6\xbc\xa2"])), st.integers(1, 5)
)
def test_lines_are_the_inputs(pieces: list[bytes], cut: int) -> None:
    data = b"".join(pieces)
    found = [item.text for item in lines_of(data, cut)]
    wanted = data.removesuffix(b"\n").split(b"\n") if data else []
    assert len(found) == len(wanted)
    for text, line in zip(found, wanted, strict=True):
        plain = line.removesuffix(b"\r").decode(errors="replace").replace("\0", "�")
        assert text == plain.replace("\r\n", " ").replace("\r", " ")


def test_a_byte_order_mark_goes_from_the_first_line_only() -> None:
    assert [item.text for item in lines_of(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", 1)] == ["a", "\ufeffb"]


def test_which_supply_is_the_units_option() -> None:
    assert isinstance(supply.opened(image("classify", options={"lines": True})), lines.Lines)
    for options in ({}, {"lines": False}, {"lines": "yes"}):
        assert isinstance(supply.opened(image("classify", options=options)), intake.Intake)


@pytest.mark.parametrize(
    ("text", "near", "before"),
    [
        ("One came. Two went to see", 16, "One came. "),
        ("when it rained, Anna came in", 24, "when it rained, "),
        ("on the day that Emma Larsen came", 22, "on the day that "),
        ("the old town where Emma Larsen came", 33, "the old town where Emma Larsen "),
        ("EMMA LARSEN CAME", 13, "EMMA LARSEN "),
    ],
)
def test_no_name_of_two_words_is_cut_where_it_can_be_helped(text: str, near: int, before: str) -> None:
    assert text[: intake._boundary(text, near)] == before
