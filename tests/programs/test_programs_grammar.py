"""A schema of any kind that writes: compiled before anything is read, and every answer held to it."""

import msgspec
import pytest

from llmsh.abi.program import Compile, Compiled, Exit, Generate, Generated, Image, Placed, Refused
from llmsh.abi.unit import Option, Unit
from llmsh.programs.table import PROGRAMS
from tests.support.programrun import Run, image, step

SCHEMA = '{"type": "object"}'
KINDS = ("prompt", "filter", "chat", "extract")


def given(kind: str, *args: str, **more: object) -> Image:
    return image(kind, *args, unit=Unit(name="it", kind=kind, description="d", schema=SCHEMA), **more)


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_compiled_first_and_every_answer_is_held_to_it(kind: str) -> None:
    run = Run(given(kind), b"one\ntwo\n", answer=lambda _: b'{"a": 1}')
    assert run.effects[0] == Compile(SCHEMA)
    grammars = [effect.sampling.grammar for effect in run.effects if isinstance(effect, Generate)]
    assert grammars == ["root ::= value"] * (2 if kind in ("filter", "chat") else 1)
    assert (run.status, run.note, run.err) == (0, "", b"")
    assert set(run.out.splitlines()) == {b'{"a": 1}'}


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_schema_nothing_is_compiled(kind: str) -> None:
    if kind != "extract":
        run = Run(image(kind, "one"))
        assert not [effect for effect in run.effects if isinstance(effect, Compile)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_that_is_refused_reads_nothing(kind: str) -> None:
    program = PROGRAMS[kind]
    state, _ = program.start(given(kind))
    detail = "schema: /properties/a/pattern: keyword is not supported"
    assert step(program, state, Refused("EINVAL", detail))[1] == [Exit(126, detail)]


@pytest.mark.parametrize(("kind", "out"), [("prompt", b'{"a\n'), ("filter", b"\n"), ("chat", b'{"a\n')])
def test_an_answer_that_is_no_whole_document_is_status_1_and_a_note(kind: str, out: bytes) -> None:
    run = Run(given(kind, "x"), answer=lambda _: b'{"a')
    assert (run.out, run.status) == (out, 1)
    said = run.err.decode() + run.note
    assert said.count("answer cut after 1 tokens: no whole document") == 1


def test_a_chat_that_the_user_interrupts_says_nothing_of_it() -> None:
    chat = PROGRAMS["chat"]
    state, _ = chat.start(given("chat", "x"))
    state, _ = step(chat, state, Compiled("root ::= value"))
    state, _ = step(chat, state, Placed(3, 9))
    _, effects = step(chat, state, Generated("int", b'{"a', 1))
    assert effects[-1] == Exit(0)


def test_a_part_that_is_no_document_ends_it() -> None:
    unit = Unit(name="it", kind="prompt", description="d", schema=SCHEMA, long="parts", part=20)
    run = Run(image("prompt", unit=unit), b"word. " * 200, answer=lambda _: b'{"a')
    assert (run.out, run.status, run.note) == (b"", 1, "answer cut after 1 tokens: no whole document")


def test_a_document_has_no_sentences() -> None:
    unit = Unit(
        name="it", kind="prompt", description="d", schema=SCHEMA, options={"sentences": Option("how many", type="int")}
    )
    document = b'{"a": "One. Two. Three."}'
    plain = image("prompt", "x", unit=unit)
    run = Run(msgspec.structs.replace(plain, options={"sentences": 1}), answer=lambda _: document)
    assert run.out == document + b"\n"
