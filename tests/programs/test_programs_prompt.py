"""The kind `prompt`: an input, an answer; and long input in parts, whose answers are folded."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.program import Context, Event, Exit, Generate, Generated, Image, Placed, Read, Refused, Write
from llmsh.abi.unit import Unit
from llmsh.programs.prompt import FAN, Answering, Placing, Prompt
from tests.support.programrun import CONTEXT, Run, image, step, user

PROMPT = Prompt()
UNIT = Unit(name="it", kind="prompt", description="")
PARTS = Unit(name="it", kind="prompt", description="", long="parts", part=100, merge="join: {input}")


def placing(unit: Unit = UNIT, *args: str) -> Any:
    state, effects = PROMPT.start(image("prompt", *(args or ("hello",)), unit=unit))
    assert isinstance(effects[-1], Context)
    return state


def answering(unit: Unit = UNIT) -> Any:
    return step(PROMPT, placing(unit), Placed(7, CONTEXT - 7))[0]


def test_arguments_are_answered_at_once_and_nothing_is_read() -> None:
    run = Run(image("prompt", "why", "not?"), b"not read")
    assert (run.out, run.err, run.status, run.note) == (b"why not?\n", b"", 0, "")
    assert run.asked == [Context(user("why not?"))]
    assert run.read == 0


def test_descriptor_0_is_read_to_its_end_without_arguments() -> None:
    assert Run(image("prompt"), b"one\ntwo", cut=2).texts == ["one\ntwo"]


@pytest.mark.parametrize(
    ("args", "asked"),
    [
        (["-"], "in"),
        (["say", "-"], "say\n\nin"),
        (["-", "say"], "in\n\nsay"),
        (["a", "b", "-", "c", "-", "d"], "a b\n\nin\n\nc d"),
    ],
)
def test_a_dash_stands_for_descriptor_0(args: list[str], asked: str) -> None:
    assert Run(image("prompt", *args), b"in").texts == [asked]


def test_a_dash_without_an_input_is_nothing() -> None:
    assert Run(image("prompt", "a", "-", "b", stdin=False)).texts == ["a\n\nb"]


@pytest.mark.parametrize("data", [b"", b"\n", b" \t\r\n \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("unit", [UNIT, PARTS])
def test_an_input_without_text_is_status_1_and_one_note(data: bytes, unit: Unit) -> None:
    run = Run(image("prompt", unit=unit), data, cut=1)
    assert (run.out, run.status, run.note, run.asked) == (b"", 1, "no input", [])


def test_no_argument_and_no_descriptor_0_is_no_input() -> None:
    assert Run(image("prompt", stdin=False)).note == "no input"


@pytest.mark.parametrize("cut", [1, 2, 3, 65536])
@pytest.mark.parametrize(
    ("data", "asked", "noted"),
    [
        (b"\xef\xbb\xbfhi", "hi", False),
        (b"a\r\nb\rc\n", "a\nb\nc\n", False),
        (b"a\0b", "a�b", True),
        (b"a\xffb\xc3", "a�b�", True),
        ("grüße 漢字 😀".encode(), "grüße 漢字 😀", False),
        ("says �".encode(), "says �", False),
    ],
)
def test_bytes_become_text(data: bytes, asked: str, noted: bool, cut: int) -> None:
    run = Run(image("prompt"), data, cut=cut)
    assert run.texts == [asked]
    assert run.err == (b"it: input is not all UTF-8 text: what is not is read as U+FFFD\n" if noted else b"")


@pytest.mark.parametrize("args", [["a\0b"], ["-", "a\0b"]])
def test_nul_in_an_argument_is_no_text(args: list[str]) -> None:
    run = Run(image("prompt", *args), b"x")
    assert "a�b" in run.texts[0]
    assert run.err.count(b"\n") == 1


@given(st.binary(max_size=300), st.integers(1, 9))
def test_how_the_input_comes_makes_no_difference(data: bytes, cut: int) -> None:
    whole, pieces = Run(image("prompt"), data), Run(image("prompt"), data, cut=cut)
    assert (pieces.texts, pieces.out, pieces.err) == (whole.texts, whole.out, whole.err)


@pytest.mark.parametrize(
    ("answer", "out"), [(b"yes", b"yes\n"), (b"yes\n", b"yes\n"), (b"", b"\n"), (b"\xff", b"\xff\n")]
)
def test_an_answer_ends_with_a_newline(answer: bytes, out: bytes) -> None:
    assert Run(image("prompt", "x"), answer=lambda _: answer).out == out


def test_an_answer_goes_out_as_it_is_made() -> None:
    given = image("prompt", "x", max_tokens=9)
    _, effects = step(PROMPT, PROMPT.start(given)[0], Placed(1, 9))
    assert effects == [Generate(given.sampling, 9, fd=1, capture=True)]


def endless(text: bytes, read: list[int]) -> Iterator[bytes]:
    for _ in itertools.count():
        read[0] += len(text)
        yield text


def test_an_endless_input_that_must_be_one_part_is_refused_early_with_both_numbers() -> None:
    read = [0]
    run = Run(image("prompt"), endless(b"word " * 800, read))
    assert (run.status, run.out, run.asked) == (1, b"", [])
    assert run.note.startswith("input of over ")
    assert run.note.endswith(f" tokens: the context holds {CONTEXT}")
    assert read[0] < 20 * CONTEXT
    assert run.most < 20 * CONTEXT


@pytest.mark.parametrize("byte", [b" ", b"\n", b"\0", b"\xff", b"\xe2"])
def test_whatever_is_endless_is_refused(byte: bytes) -> None:
    run = Run(image("prompt"), endless(byte * 4096, [0]))
    assert run.status == 1
    assert run.most < 40 * CONTEXT


def test_an_input_that_just_does_not_fit_is_refused_with_its_length() -> None:
    run = Run(image("prompt"), b"abcd" * (CONTEXT + 1))
    assert run.note == f"input of {CONTEXT + 1} tokens: the context holds {CONTEXT}"
    # With room for no answer the kernel refuses, in its words.
    run = Run(image("prompt"), b"abcd" * CONTEXT)
    assert (run.status, run.note) == (1, f"input of {CONTEXT} tokens, context of {CONTEXT}")


def test_a_context_without_room_is_status_1_and_one_note() -> None:
    _, effects = step(PROMPT, placing(), Placed(CONTEXT, 0))
    assert effects == [Exit(1, f"input of {CONTEXT} tokens leaves no room in the context of {CONTEXT}")]


def test_an_answer_that_meets_the_end_of_the_context_is_cut_with_status_1() -> None:
    _, effects = step(PROMPT, answering(), Generated("full", b"so far", 993))
    note = f"answer cut: 7 tokens of input and 993 of answer fill the context of {CONTEXT}"
    assert effects == [Write(1, b"\n"), Exit(1, note)]


@pytest.mark.parametrize("why", ["eos", "stop", "limit", "grammar"])
def test_every_other_end_of_an_answer_is_a_good_one(why: str) -> None:
    assert step(PROMPT, answering(), Generated(why, b"x\n", 1))[1] == [Exit(0)]


@pytest.mark.parametrize(("code", "status"), [("E2BIG", 1), ("EIO", 1), ("EINVAL", 126)])
def test_what_is_refused_ends_it(code: str, status: int) -> None:
    reading = PROMPT.start(image("prompt"))[0]
    for state in (reading, placing(), answering()):
        assert step(PROMPT, state, Refused(code, "because"))[1] == [Exit(status, "because")]


# Parts.


def long_text(words: int) -> bytes:
    return b" ".join(b"w%d" % number for number in range(words)) + b".\n"


def short(text: str) -> bytes:
    """Says which words it was asked of."""
    found = [word.strip(".") for word in text.removeprefix("join: ").split()]
    return f"{found[0]}..{found[-1]}".encode() if ".." not in found[0] else b"(" + found[0].encode() + b")"


def test_an_input_that_fits_is_one_answer_that_goes_out_as_it_is_made() -> None:
    run = Run(image("prompt", unit=PARTS), b"word " * 20)
    assert run.texts == ["word " * 20]
    assert run.out == b"word " * 20 + b"\n"


@given(st.integers(100, 3000), st.sampled_from([100, 4096]))
def test_every_word_is_in_one_part_in_order(words: int, cut: int) -> None:
    data = long_text(words)
    run = Run(image("prompt", unit=PARTS), data, cut=cut, answer=short)
    parts = [text for text in run.texts if not text.startswith("join: ")]
    assert " ".join(parts).split() == data.decode().split()
    assert run.status == 0
    assert 1 <= run.out.count(b"\n") <= 3 * FAN


def test_answers_to_parts_are_printed_at_the_end_a_line_each() -> None:
    run = Run(image("prompt", unit=PARTS), long_text(150), answer=short)
    made = [effect.fd for effect in run.effects if isinstance(effect, Generate)]
    assert 2 <= len(made) <= FAN
    assert made == [-1] * len(made)
    assert run.out == b"".join(short(text) + b"\n" for text in run.texts)


def test_a_merge_takes_the_units_own_prompt_and_examples_when_it_has_no_other() -> None:
    unit = Unit(name="it", kind="prompt", description="", long="parts", part=100, prompt="say: {input}")
    run = Run(image("prompt", unit=unit), long_text(2000), answer=lambda _: b"note")
    assert "say: " + "\n".join(["note"] * FAN) in run.texts


def test_answers_come_in_the_order_of_the_parts_however_they_are_folded() -> None:
    """What is printed covers the words from first to last, without a gap or an overlap."""

    def span(text: str) -> bytes:
        ends = [int(number) for number in re.findall(r"\d+", text)]
        return b"%d-%d" % (ends[0], ends[-1])

    run = Run(image("prompt", unit=PARTS), long_text(6000), answer=span)
    spans = [[int(number) for number in line.split("-")] for line in run.out.decode().split()]
    assert spans[0][0] == 0
    assert spans[-1][1] == 5999
    assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(spans))
    assert len(spans) <= 3 * FAN


def test_never_more_than_a_few_answers_are_merged() -> None:
    run = Run(image("prompt", unit=PARTS), long_text(5000), answer=lambda _: b"note")
    merges = [text.removeprefix("join: ").split("\n") for text in run.texts if text.startswith("join: ")]
    assert len(merges) > FAN
    assert all(len(merge) == FAN for merge in merges)


def test_an_input_of_any_length_takes_bounded_room() -> None:
    def size(pieces: int) -> int:
        run = Run(image("prompt", unit=PARTS), iter([b"some words " * 300] * pieces), answer=lambda _: b"a note")
        assert run.status == 0
        assert run.read == pieces * 3300
        return run.most

    assert size(80) < size(20) + 500


def test_parts_with_nothing_on_them_are_passed_over() -> None:
    run = Run(image("prompt", unit=PARTS), b" \n" * 5000 + b"word", answer=short)
    assert [text.strip() for text in run.texts] == ["word"]
    run = Run(image("prompt", unit=PARTS), b"one" + b" \n" * 5000 + b"two", answer=short)
    assert all(text.strip() for text in run.texts)
    assert run.status == 0


def test_one_note_of_all_parts_is_the_answer() -> None:
    """White space after the only part."""
    run = Run(image("prompt", unit=PARTS), b"word" + b" " * 2000, answer=short)
    assert (run.out, run.status) == (b"word..word\n", 0)


def test_a_part_that_does_not_fit_is_cut_again() -> None:
    before = "x" * 3200
    wide = Unit(name="it", kind="prompt", description="", long="parts", part=400, prompt=before + "{input}")
    run = Run(image("prompt", unit=wide), long_text(800), answer=lambda _: b"note")
    assert run.status == 0
    held = [text.removeprefix(before) for text in run.texts if len(text) < 4 * CONTEXT and "note" not in text]
    assert " ".join(held).split() == long_text(800).decode().split()
    assert any(len(text) >= 4 * CONTEXT for text in run.texts)


def test_a_part_that_never_fits_is_refused_in_the_end() -> None:
    full = Unit(name="it", kind="prompt", description="", long="parts", part=400, prompt="x" * 4000 + "{input}")
    run = Run(image("prompt", unit=full), long_text(800))
    assert (run.status, run.out) == (1, b"")
    assert "context of" in run.note


def test_a_merge_that_does_not_fit_is_refused() -> None:
    run = Run(image("prompt", unit=PARTS), long_text(800), answer=lambda _: b"x" * 4 * CONTEXT)
    assert (run.status, run.out) == (1, b"")
    assert "context of" in run.note


def test_a_merge_without_room_is_refused() -> None:
    given = image("prompt", unit=PARTS)
    first = PROMPT.start(given)[0]
    assert isinstance(PROMPT.start(given)[1][0], Read)
    state = Placing(given, first.intake, (), "merge", "text", at=2)  # type: ignore[attr-defined]  # it is Reading
    assert step(PROMPT, state, Refused("E2BIG", "too much"))[1] == [Exit(1, "too much")]
    assert isinstance(step(PROMPT, state, Placed(5, 5))[0], Answering)


@pytest.mark.parametrize("long", ["refuse", "parts", "shift"])
def test_the_callers_raw_text_goes_as_it_is(long: str) -> None:
    unit = Unit(name="it", kind="prompt", description="", system="be", prompt="say {input}", long=long)
    given: Image = image("prompt", "hello {input}", unit=unit, raw=True)
    assert Run(given).asked == [Context(user("hello {input}"), raw=True)]


def test_events_that_cannot_come_are_bugs() -> None:
    event: Event = Generated("eos", b"", 0)
    with pytest.raises(TypeError, match="Placing: unexpected Generated"):
        PROMPT.step(placing(), event)


# Sentences.


def limited(count: object, unit: Unit = UNIT) -> Image:
    return image("prompt", unit=unit, options={"sentences": count})


@pytest.mark.parametrize("text", [b"One. Two. Three.", b" One. Two. Three.\n"])
def test_an_option_keeps_the_first_sentences(text: bytes) -> None:
    run = Run(limited(2), b"in", answer=lambda _: text)
    assert run.out == b"One. Two.\n"
    assert [effect.fd for effect in run.effects if isinstance(effect, Generate)] == [-1]


def test_an_unfinished_sentence_is_not_printed() -> None:
    run = Run(limited(3), b"in", answer=lambda _: Generated("limit", b"One. And th", 3))
    assert (run.out, run.status) == (b"One.\n", 0)


def test_each_part_gets_so_many_sentences() -> None:
    run = Run(limited(1, PARTS), long_text(150), answer=lambda _: b"One. Two.")
    assert set(run.out.splitlines()) == {b"One."}


@pytest.mark.parametrize("count", [0, -1, True, "2", 1.5])
def test_an_option_of_another_meaning_keeps_all(count: object) -> None:
    assert Run(limited(count), b"in", answer=lambda _: b"One. Two.").out == b"One. Two.\n"
