"""The kind `extract`: a JSON document by the unit's schema, for the input or for each line of it."""

import json
from typing import Any

import pytest

from llmsh.abi.program import Compile, Compiled, Context, Exit, Generate, Generated, Input, Placed, Refused
from llmsh.abi.unit import Unit
from llmsh.programs.extract import Extract
from tests.support.programrun import CONTEXT, Run, image, step, user

EXTRACT = Extract()
LINES = {"lines": True}
OBJECT = '{"type": "object"}'


def unit(schema: str = OBJECT, **more: Any) -> Unit:
    return Unit(name="it", kind="extract", description="", schema=schema, **more)


def names(text: str) -> bytes:
    """A document of the words with a capital."""
    return json.dumps({"names": [word.strip(".") for word in text.split() if word[0].isupper()]}).encode()


def test_the_schema_comes_before_the_input_and_holds_the_answer() -> None:
    run = Run(image("extract", max_tokens=9), b"Ann saw Bob\n", answer=names)
    assert run.effects[0] == Compile('{"type": "object"}')
    assert run.out == b'{"names": ["Ann", "Bob"]}\n'
    assert (run.err, run.status, run.asked) == (b"", 0, [Context(user("Ann saw Bob"))])
    made = next(effect for effect in run.effects if isinstance(effect, Generate))
    assert (made.sampling.grammar, made.fd, made.capture, made.max_tokens) == ("root ::= value", -1, True, 9)


def test_a_broken_schema_is_126_and_reads_nothing() -> None:
    state, effects = EXTRACT.start(image("extract"))
    assert len(effects) == 1
    detail = "schema: /properties/a/pattern: keyword is not supported"
    assert step(EXTRACT, state, Refused("EINVAL", detail))[1] == [Exit(126, detail)]


def test_with_lines_every_line_is_a_document() -> None:
    run = Run(image("extract", options=LINES), b"Ann\n\nBob\r\n", answer=names)
    assert [json.loads(line) for line in run.out.splitlines()] == [{"names": ["Ann"]}, None, {"names": ["Bob"]}]
    assert run.status == 0


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_no_text_is_no_input(data: bytes) -> None:
    for given in (image("extract"), image("extract", unit=unit(long="parts"))):
        run = Run(given, data, answer=names)
        assert (run.out, run.status, run.note) == (b"", 1, "no input")


def test_verbatim_leaves_out_what_the_input_does_not_say() -> None:
    schema = '{"properties": {"names": {"type": "array"}}}'
    given = image("extract", "Ann", unit=unit(verbatim=True, schema=schema))
    run = Run(given, answer=lambda _: b'{"names": ["Ann", "Bob", ""]}')
    assert run.out == b'{"names": ["Ann"]}\n'
    schema = '{"type": "object", "additionalProperties": {"enum": ["person", "place"]}}'
    given = image("extract", "Ann", unit=unit(verbatim=True, schema=schema))
    assert Run(given, answer=lambda _: b'{"Bob": "place", "Ann": "person"}').out == b'{"Ann": "person"}\n'


def test_parts_are_merged_into_one_document() -> None:
    data = b" ".join(b"Name%d said so." % number for number in range(300))
    run = Run(image("extract", unit=unit(long="parts", part=100)), data, answer=names)
    assert len(run.texts) > 5
    assert json.loads(run.out) == {"names": [f"Name{number}" for number in range(300)]}


def test_white_space_is_no_part() -> None:
    run = Run(image("extract", unit=unit(long="parts", part=100)), b"\n" * 9000 + b"Ann", answer=names)
    assert (run.out, run.texts) == (b'{"names": ["Ann"]}\n', ["Ann"])


def test_a_long_input_with_few_names_takes_bounded_room() -> None:
    given = image("extract", unit=unit(long="parts", part=100))
    run = Run(given, iter([b"Ann and nobody. " * 200] * 60), answer=names)
    assert (run.out, run.status) == (b'{"names": ["Ann"]}\n', 0)
    assert run.most < 30_000


def test_an_input_that_must_be_one_part_is_refused_early() -> None:
    run = Run(image("extract"), iter([b"word " * 800] * 10_000))
    assert (run.out, run.status) == (b"", 1)
    assert run.note.endswith(f"the context holds {CONTEXT}")


@pytest.mark.parametrize("answer", [b"", b'{"a": ', b"\xff", b"[" * 50_000, b"[" * 900 + b"]" * 900, b"9" * 5000])
@pytest.mark.parametrize("why", ["limit", "full"])
def test_an_answer_that_is_no_document_is_never_printed(answer: bytes, why: str) -> None:
    def cut(text: str) -> Any:
        return Generated(why, answer, 5) if text != "Ann" else names(text)

    one = Run(image("extract", "x"), answer=cut)
    assert (one.out, one.status) == (b"", 1)
    assert one.err.startswith(b"it: answer cut after 5 tokens" if why == "limit" else b"it: answer cut")
    lines = Run(image("extract", options=LINES), b"x\nAnn\n", answer=cut)
    assert (lines.out, lines.status) == (b'null\n{"names": ["Ann"]}\n', 1)
    assert lines.err.startswith(b"it: line 1: answer cut")


@pytest.mark.parametrize(
    "answer",
    [
        b'{"names": ["Ann", "Bo',
        b'{"names": ["Ann", ',
        b'{"names": ["Ann", "B, C, ", "D\xc3',
        b'{"names": ["Ann", {"x": [1',
    ],
)
def test_what_is_whole_in_a_cut_answer_is_kept(answer: bytes) -> None:
    def cut(text: str) -> Any:
        return Generated("limit", answer, 5)

    one = Run(image("extract", "x"), answer=cut)
    assert json.loads(one.out)["names"][0] == "Ann"
    assert (one.status, one.err) == (1, b"it: answer cut after 5 tokens: no whole document\n")
    lines = Run(image("extract", options=LINES), b"x\ny\n", answer=cut)
    assert [json.loads(line)["names"][0] for line in lines.out.splitlines()] == ["Ann", "Ann"]
    assert lines.status == 1


@pytest.mark.parametrize(
    ("answer", "out"),
    [
        (rb'{"a\ud800": "\udc00x\ud83d\ude00"}', '{"a�": "�x😀"}'),
        (b'{"a": 1e999, "b": -1e999}', '{"a": 1.7976931348623157e+308, "b": -1.7976931348623157e+308}'),
    ],
)
@pytest.mark.parametrize("options", [{}, LINES])
def test_what_json_allows_and_nothing_can_read_is_made_readable(answer: bytes, out: str, options: Any) -> None:
    assert Run(image("extract", "x", options=options), answer=lambda _: answer).out == f"{out}\n".encode()


def test_a_line_that_does_not_fit_is_null() -> None:
    run = Run(image("extract", options=LINES), b"Ann\n" + b"x" * 4 * CONTEXT + b"\nBob\n", answer=names)
    assert run.out.splitlines()[1:] == [b"null", b'{"names": ["Bob"]}']
    assert (run.status, run.err.startswith(b"it: line 2: input of")) == (1, True)


def test_a_part_that_does_not_fit_is_cut_again() -> None:
    wide = unit(long="parts", part=400, prompt="x" * 3200 + "{input}")
    data = b" ".join(b"Name%d" % number for number in range(300))
    run = Run(image("extract", unit=wide), data, answer=lambda text: names(text[3200:]))
    assert json.loads(run.out) == {"names": [f"Name{number}" for number in range(300)]}
    assert len(run.texts[0]) >= 4 * CONTEXT


@pytest.mark.parametrize(("code", "status"), [("EIO", 1), ("EINVAL", 126)])
def test_what_is_refused_otherwise_ends_it(code: str, status: int) -> None:
    compiling = EXTRACT.start(image("extract", options=LINES))[0]
    reading = step(EXTRACT, compiling, Compiled("root ::= value"))[0]
    placing = step(EXTRACT, reading, Input(b"a\n", eof=False))[0]
    answering = step(EXTRACT, placing, Placed(1, 1))[0]
    for state in (compiling, reading, placing, answering):
        assert step(EXTRACT, state, Refused(code, "because"))[1] == [Exit(status, "because")]


def test_events_that_cannot_come_are_bugs() -> None:
    with pytest.raises(TypeError, match="Compiling: unexpected Placed"):
        EXTRACT.step(EXTRACT.start(image("extract"))[0], Placed(1, 1))
