"""The kind `filter`: a line in, a line out, in order."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.lease import Sampling
from llmsh.abi.program import Context, Exit, Generate, Generated, Input, Placed, Read, Refused, Write
from llmsh.abi.unit import Unit
from llmsh.programs.filter import Filter
from llmsh.programs.lines import LINE_MAX
from tests.support.programrun import CONTEXT, Run, image, step, user

FILTER = Filter()


def upper(text: str) -> bytes:
    return text.upper().encode()


def placing(data: bytes = b"one\ntwo\n") -> Any:
    reading, effects = FILTER.start(image("filter"))
    assert effects == [Read(max=LINE_MAX, until="line")]
    return step(FILTER, reading, Input(data, eof=True))[0]


def test_each_line_is_answered_by_itself_in_order() -> None:
    run = Run(image("filter"), b"one\ntwo\nthree", answer=upper)
    assert (run.out, run.err, run.status) == (b"ONE\nTWO\nTHREE\n", b"", 0)
    assert run.asked == [Context(user("one")), Context(user("two")), Context(user("three"))]


def test_a_line_is_written_before_the_next_is_read() -> None:
    run = Run(image("filter"), b"one\ntwo\n", answer=upper)
    kinds = [type(effect).__name__ for effect in run.effects]
    round_ = ["Read", "Context", "Generate", "Write"]
    assert kinds == [*round_, *round_, "Read", "Exit"]


@pytest.mark.parametrize("data", [b"", b"\n", b"\n \n\t\n", b"a\n\nb\n", b"\r\na\r\n", b"a\n\n\n"])
def test_blank_lines_come_out_empty_and_cost_nothing(data: bytes) -> None:
    run = Run(image("filter"), data, answer=upper)
    lines = data.decode().splitlines()
    assert run.out == "".join(line.strip().upper() + "\n" for line in lines).encode()
    assert len(run.asked) == sum(bool(line.strip()) for line in lines)
    assert run.status == 0


def test_arguments_are_lines_too() -> None:
    assert Run(image("filter", "one", "two"), answer=upper).out == b"ONE TWO\n"
    assert Run(image("filter", "one\ntwo"), answer=upper).out == b"ONE\nTWO\n"
    assert Run(image("filter", "a", "-", "z"), b"in\nput", answer=upper).out == b"A\nIN\nPUT\nZ\n"


def test_many_blank_lines_in_an_argument_are_one_write() -> None:
    run = Run(image("filter", "\n" * 30_000 + "x"))
    assert run.out == b"\n" * 30_000 + b"x\n"
    assert len(run.effects) < 10


@given(st.binary(max_size=200), st.integers(1, 9))
def test_how_the_input_comes_makes_no_difference(data: bytes, cut: int) -> None:
    whole, pieces = Run(image("filter"), data), Run(image("filter"), data, cut=cut)
    assert (pieces.texts, pieces.out, pieces.err) == (whole.texts, whole.out, whole.err)
    assert whole.out.count(b"\n") == data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


def test_bytes_that_are_no_text_are_noted_once() -> None:
    run = Run(image("filter"), b"\xef\xbb\xbfa\0\n\xff\n", answer=upper)
    assert run.out == "A�\n�\n".encode()
    assert run.err == b"it: input is not all UTF-8 text: what is not is read as U+FFFD\n"
    assert run.status == 0


@pytest.mark.parametrize("cut", [999, 4096, 65536, 70000])
def test_a_line_that_is_too_long_comes_out_empty_with_a_note(cut: int) -> None:
    data = b"a\n" + b"x" * (LINE_MAX + 1) + b"\nb\n"
    run = Run(image("filter"), data, cut=cut, answer=upper)
    assert (run.out, run.status) == (b"A\n\nB\n", 1)
    assert run.err == f"it: line 2 is longer than {LINE_MAX} bytes\n".encode()


@pytest.mark.parametrize("cut", [999, 65536, 70000])
def test_a_line_of_the_most_bytes_is_not_too_long(cut: int) -> None:
    run = Run(image("filter", context=LINE_MAX), b"x" * LINE_MAX + b"\nb\n", cut=cut)
    assert (run.err, run.out) == (b"", b"x" * LINE_MAX + b"\nb\n")


def test_an_endless_line_takes_bounded_room() -> None:
    run = Run(image("filter"), iter([b"x" * 4096] * 400), answer=upper)
    assert (run.out, run.status) == (b"\n", 1)
    assert run.most < 3 * LINE_MAX


def test_an_argument_after_a_line_that_is_too_long_is_a_line_of_its_own() -> None:
    run = Run(image("filter", "-", "z"), b"x" * 3 * LINE_MAX, answer=upper)
    assert run.out == b"\nZ\n"


def test_a_line_that_does_not_fit_comes_out_empty_and_the_next_goes_on() -> None:
    run = Run(image("filter"), b"a\n" + b"x" * 4 * CONTEXT + b"\nb\n", answer=upper)
    assert (run.out, run.status) == (b"A\n\nB\n", 1)
    assert run.err == f"it: line 2: input of {CONTEXT} tokens, context of {CONTEXT}\n".encode()


def test_an_answer_that_is_cut_by_the_context_comes_out_empty() -> None:
    def full(text: str) -> Any:
        return Generated("full", b"half", 9) if text == "b" else upper(text)

    run = Run(image("filter"), b"a\nb\nc\n", answer=full)
    assert (run.out, run.status) == (b"A\n\nC\n", 1)
    assert run.err.startswith(b"it: line 2: answer cut: ")


def test_a_context_without_room_comes_out_empty() -> None:
    _, effects = step(FILTER, placing(), Placed(CONTEXT, 0))
    assert effects[:2] == [
        Write(2, f"it: line 1: {CONTEXT} tokens: the context holds {CONTEXT}\n".encode()),
        Write(1, b"\n"),
    ]
    assert effects[2] == Context(user("two"))


@pytest.mark.parametrize(("answer", "out"), [(b" a \n b ", b"a   b\n"), (b"", b"\n"), (b"\xff", "�\n".encode())])
def test_an_answer_is_one_line(answer: bytes, out: bytes) -> None:
    assert Run(image("filter", "x"), answer=lambda _: answer).out == out


def test_a_unit_may_keep_the_space_around_an_answer() -> None:
    unit = Unit(name="it", kind="filter", description="", strip=False)
    assert Run(image("filter", "x", unit=unit), answer=lambda _: b" a ").out == b" a \n"


@pytest.mark.parametrize("stop", [(), ("END",), ("\n",)])
def test_an_answer_stops_at_the_end_of_its_line(stop: tuple[str, ...]) -> None:
    run = Run(image("filter", "x", sampling=Sampling(stop=stop), max_tokens=5))
    made = next(effect for effect in run.effects if isinstance(effect, Generate))
    assert sorted(made.sampling.stop) == sorted({*stop, "\n"})
    assert (made.fd, made.capture, made.max_tokens) == (-1, True, 5)


@pytest.mark.parametrize(("code", "status"), [("EIO", 1), ("EINVAL", 126)])
def test_what_is_refused_otherwise_ends_it(code: str, status: int) -> None:
    state = placing()
    assert step(FILTER, state, Refused(code, "because"))[1] == [Exit(status, "because")]
    answering = step(FILTER, state, Placed(1, 1))[0]
    assert step(FILTER, answering, Refused("E2BIG", "because"))[1] == [Exit(1, "because")]


def test_a_status_of_1_stays() -> None:
    state = msgspec.structs.replace(placing(), status=1)
    state, effects = step(FILTER, step(FILTER, state, Placed(1, 1))[0], Generated("eos", b"x", 1))
    assert effects == [Write(1, b"x\n"), Context(user("two"))]
    _, effects = step(FILTER, step(FILTER, state, Placed(1, 1))[0], Generated("eos", b"y", 1))
    assert effects == [Write(1, b"y\n"), Exit(1)]


def test_events_that_cannot_come_are_bugs() -> None:
    with pytest.raises(TypeError, match="Placing: unexpected Input"):
        FILTER.step(placing(), Input(b"", eof=True))
