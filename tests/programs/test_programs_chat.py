"""The kind `chat`: a conversation, a line of input a turn."""

from typing import Any

import msgspec
import pytest

from llmsh.abi.lease import Piece
from llmsh.abi.program import Context, Exit, Generate, Generated, Input, Placed, Read, Refused, Signal, Write
from llmsh.abi.unit import Example, Unit
from llmsh.programs.chat import RESERVE, Chat, Placing, Reading
from llmsh.programs.lines import LINE_MAX
from tests.support.programrun import CONTEXT, Run, image, step

CHAT = Chat()
INT = 2
TAUGHT = Unit(name="it", kind="chat", description="", system="Be kind.", examples=(Example("Hi", "Hello"),))


def upper(text: str) -> bytes:
    return text.upper().encode()


def asked(run: Run) -> list[list[str]]:
    return [[piece.content for piece in context.pieces] for context in run.asked]


def reading(given: Any = None) -> Any:
    state, effects = CHAT.start(given or image("chat", tty=True))
    assert effects[-1] == Read(max=LINE_MAX, until="line")
    return state


def said(state: Any, line: bytes, answer: Generated) -> tuple[Any, list[Any]]:
    """One exchange."""
    state, _ = step(CHAT, state, Input(line, eof=False))
    assert isinstance(state, Placing)
    state, _ = step(CHAT, state, Placed(5, 5))
    return step(CHAT, state, answer)


def test_every_line_is_a_turn_after_all_before_it() -> None:
    run = Run(image("chat"), b"one\ntwo\r\n", answer=upper)
    assert (run.out, run.err, run.status) == (b"ONE\nTWO\n", b"", 0)
    assert asked(run) == [["one"], ["one", "ONE", "two"]]


def test_the_units_opening_comes_first_every_time() -> None:
    run = Run(image("chat", unit=TAUGHT), b"a\nb\n", answer=upper)
    assert asked(run) == [["Be kind.", "Hi", "Hello", "a"], ["Be kind.", "Hi", "Hello", "a", "A", "b"]]
    roles = [piece.role for piece in run.asked[1].pieces]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]


def test_raw_is_the_turns_alone() -> None:
    run = Run(image("chat", unit=TAUGHT, raw=True), b"a\nb\n", answer=upper)
    assert asked(run) == [["a"], ["a", "A", "b"]]
    assert all(context.raw for context in run.asked)


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf\n"])
def test_blank_lines_are_no_turns(data: bytes) -> None:
    run = Run(image("chat"), data)
    assert (run.out, run.status, run.asked) == (b"", 0, [])


def test_arguments_are_the_first_turn() -> None:
    assert asked(Run(image("chat", "a", "b"))) == [["a b"]]
    assert asked(Run(image("chat", "a", "-"), b"b\n", answer=upper)) == [["a"], ["a", "A", "b"]]
    assert asked(Run(image("chat", "a", tty=True), b"b\n", answer=upper)) == [["a"], ["a", "A", "b"]]


def test_a_terminal_has_a_prompt_on_standard_error() -> None:
    run = Run(image("chat", tty=True), b"a\nb\n", answer=upper)
    assert (run.out, run.err) == (b"A\nB\n", b"> > > \n")


def test_answers_go_out_as_they_are_made() -> None:
    state, _ = step(CHAT, reading(), Input(b"a\n", eof=False))
    _, effects = step(CHAT, state, Placed(5, 5))
    assert effects == [Generate(state.image.sampling, 0, fd=1, capture=True)]


# Signals.


def test_int_ends_the_answer_which_stays_as_far_as_it_came() -> None:
    state, effects = said(reading(), b"a\n", Generated("int", b"so fa", 2))
    assert effects[0] == Write(1, b"\n")
    assert isinstance(effects[-1], Read)
    _, effects = step(CHAT, state, Input(b"b\n", eof=False))
    assert [piece.content for piece in effects[-1].pieces] == ["a", "so fa", "b"]


def test_int_at_the_prompt_is_a_new_line() -> None:
    state, effects = step(CHAT, reading(), Signal(INT))
    assert effects == [Write(2, b"\n"), Write(2, b"> "), Read(max=LINE_MAX, until="line")]
    assert isinstance(state, Reading)


def test_int_at_the_prompt_throws_a_line_that_was_begun_away() -> None:
    state, _ = step(CHAT, reading(), Input(b"x" * 2 * LINE_MAX, eof=False))
    state, _ = step(CHAT, state, Signal(INT))
    _, effects = step(CHAT, state, Input(b"b\n", eof=False))
    assert effects == [Context([Piece("user", "b")])]


def test_int_without_a_terminal_ends_it() -> None:
    assert step(CHAT, reading(image("chat")), Signal(INT))[1] == [Exit(130)]


def test_only_int_is_caught() -> None:
    assert frozenset({INT}) == Chat.catches


# The end of the context.


def test_without_shift_a_full_context_ends_it() -> None:
    _, effects = said(reading(), b"a\n", Generated("full", b"x", 995))
    note = f"answer cut: 5 tokens of input and 995 of answer fill the context of {CONTEXT}"
    assert effects == [Write(1, b"\n"), Exit(1, note)]


def test_without_shift_a_conversation_that_does_not_fit_ends_it_with_both_numbers() -> None:
    run = Run(image("chat"), b"x" * 2000 + b"\nmore\n" + b"y" * 2000 + b"\n", answer=lambda text: text[:9].encode())
    assert run.status == 1
    assert run.note == f"input of {500 + 3 + 1 + 1 + 500} tokens, context of {CONTEXT}"
    assert not run.asked[0].shift
    assert run.asked[0].reserve == 0


@pytest.mark.parametrize(
    "given", [image("chat", shift=True), image("chat", unit=msgspec.structs.replace(TAUGHT, long="shift"))]
)
def test_with_shift_the_oldest_turns_may_go(given: Any) -> None:
    run = Run(given, b"a\n")
    assert run.asked[0].shift
    assert run.asked[0].reserve == RESERVE


@pytest.mark.parametrize(("limit", "reserve"), [(0, RESERVE), (10, 10), (5000, CONTEXT // 2)])
def test_with_shift_there_is_room_for_an_answer(limit: int, reserve: int) -> None:
    assert Run(image("chat", "a", shift=True, max_tokens=limit)).asked[0].reserve == reserve


def test_with_shift_a_full_context_is_no_end() -> None:
    _, effects = said(reading(image("chat", shift=True)), b"a\n", Generated("full", b"x", 995))
    assert isinstance(effects[-1], Read)


@pytest.mark.parametrize(
    ("dropped", "left"),
    [(0, ["a", "A", "b", "B", "c"]), (2, ["a", "A", "b", "B", "c"]), (4, ["b", "B", "c"]), (6, ["c"])],
)
def test_what_is_dropped_goes_from_the_conversation_the_examples_first(dropped: int, left: list[str]) -> None:
    state = reading(image("chat", unit=TAUGHT, shift=True))
    state, _ = said(state, b"a\n", Generated("eos", b"A", 1))
    state, _ = said(state, b"b\n", Generated("eos", b"B", 1))
    state, _ = step(CHAT, state, Input(b"c\n", eof=False))
    state, _ = step(CHAT, state, Placed(5, 5, dropped))
    assert [piece.content for piece in state.said] == left


# Bad input.


def test_a_line_that_is_too_long_is_noted_and_passed_over() -> None:
    run = Run(image("chat"), b"x" * 2 * LINE_MAX + b"\na\n", answer=upper)
    assert (run.out, run.status) == (b"A\n", 1)
    assert run.err == f"it: line 1 is longer than {LINE_MAX} bytes\n".encode()


def test_bytes_that_are_no_text_are_noted_once() -> None:
    run = Run(image("chat"), b"a\xff\n\0\n", answer=upper)
    assert run.out == "A�\n�\n".encode()
    assert run.err == b"it: input is not all UTF-8 text: what is not is read as U+FFFD\n"


def test_an_answer_that_is_no_text_stays_as_far_as_it_is() -> None:
    run = Run(image("chat"), b"a\nb\n", answer=lambda _: b"\xff")
    assert run.out == b"\xff\n\xff\n"
    assert asked(run)[1] == ["a", "�", "b"]


@pytest.mark.parametrize(("code", "status"), [("E2BIG", 1), ("EIO", 1), ("EINVAL", 126)])
def test_what_is_refused_ends_it(code: str, status: int) -> None:
    first = reading()
    placing, _ = step(CHAT, first, Input(b"a\n", eof=False))
    answering, _ = step(CHAT, placing, Placed(1, 1))
    for state in (first, placing, answering):
        assert step(CHAT, state, Refused(code, "because"))[1] == [Exit(status, "because")]


def test_a_context_without_room_ends_it() -> None:
    placing, _ = step(CHAT, reading(), Input(b"a\n", eof=False))
    note = f"conversation of {CONTEXT} tokens: the context holds {CONTEXT}"
    assert step(CHAT, placing, Placed(CONTEXT, 0))[1] == [Exit(1, note)]


def test_events_that_cannot_come_are_bugs() -> None:
    placing, _ = step(CHAT, reading(), Input(b"a\n", eof=False))
    with pytest.raises(TypeError, match="Placing: unexpected Signal"):
        CHAT.step(placing, Signal(INT))
