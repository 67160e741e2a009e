"""What programs share: bytes to text, labels, documents, contexts, and the table of programs."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.lease import Piece
from llmsh.abi.program import Context
from llmsh.abi.unit import KINDS, Example, Unit
from llmsh.programs import documents, labels, turns, words
from llmsh.programs.documents import DEPTH_MAX
from llmsh.programs.table import PROGRAMS
from tests.support.programrun import image


def test_every_kind_of_unit_has_its_program() -> None:
    assert set(PROGRAMS) == set(KINDS)
    assert all(program.kind == kind for kind, program in PROGRAMS.items())


# Words.


@given(st.text())
def test_text_is_text(text: str) -> None:
    kept, used, bad = words.decode(text.encode())
    assert (kept, used, bad) == (text.replace("\0", "�"), len(text.encode()), "\0" in text)


@given(st.binary(), st.integers(0, 8))
def test_bytes_in_two_pieces_are_the_same_text(data: bytes, at: int) -> None:
    first, used, bad = words.decode(data[:at], final=False)
    second, _, worse = words.decode(data[used:])
    whole, _, any_bad = words.decode(data)
    assert (first + second, bad or worse) == (whole, any_bad)


@pytest.mark.parametrize(("text", "plain"), [("a\r\nb\rc\nd\r\n", "a\nb\nc\nd\n"), ("\n", "\n"), ("", "")])
def test_newlines(text: str, plain: str) -> None:
    assert words.newlines(text) == plain


# Labels.

SCORE = st.floats(-1e6, 1e6) | st.just(-math.inf)


@given(st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=9), st.booleans())
def test_a_distribution_is_one(pairs: list[tuple[float, float]], prior: bool) -> None:
    chances = labels.distribution([a for a, _ in pairs], [b for _, b in pairs] if prior else [])
    assert sum(chances) == pytest.approx(1)
    assert all(0 <= chance <= 1 for chance in chances)


def test_labels_as_text_and_json() -> None:
    chances = [0.25, 0.75]
    assert labels.line(["b", "ä"], chances, scores=False, as_json=False) == "ä"
    assert labels.line(["b", "ä"], chances, scores=True, as_json=False) == "ä\t0.750000\tb\t0.250000"
    assert (
        labels.line(["b", "ä"], chances, scores=True, as_json=True)
        == '{"label": "ä", "scores": {"ä": 0.75, "b": 0.25}}'
    )


# Documents.

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_document_is_what_it_says(document: Any) -> None:
    parsed = documents.parse(json.dumps(document).encode())
    assert parsed == document
    assert json.loads(documents.line(parsed)) == document
    assert "\n" not in documents.line(parsed)


@given(st.lists(st.sampled_from([r"\ud800", r"\udc00", r"\ud83d", r"\ude00", "x", "�", r"\ufeff"])))
def test_half_a_pair_never_gets_out(pieces: list[str]) -> None:
    text = "".join(pieces)
    parsed = documents.parse(f'["{text}"]'.encode())
    documents.line(parsed).encode()
    assert parsed[0].count("x") == text.count("x")


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b"[Infinity]", b"\xff", b"1 2", b"9" * 5000])
def test_what_is_no_document_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        documents.parse(text)


def test_depth_is_bounded() -> None:
    documents.parse(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)
    for depth in (DEPTH_MAX + 2, 500, 100_000):
        with pytest.raises(ValueError, match="deep"):
            documents.parse(b"[" * depth + b"]" * depth)


def test_grounded_keeps_what_the_text_says() -> None:
    document = {"names": ["Ann", "Bob", "", " ", "Ann"], "kind": "not there", "more": [{"of": ["Bob"], "Bob": 1}, 3]}
    known = documents.names({"properties": {"names": {}, "kind": {}, "more": {"items": {"properties": {"of": {}}}}}})
    assert known == {"names", "kind", "more", "of"}
    kept = {"names": ["Ann"], "kind": "not there", "more": [{"of": []}, 3]}
    assert documents.grounded(document, "Ann alone", known) == kept


def test_of_a_name_that_comes_twice_the_first_counts() -> None:
    assert documents.parse(b'{"a": 1, "b": 2, "a": 3}') == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({"a": [1, 2]}, {"a": [2, 3]}, {"a": [1, 2, 3]}),
        ({"a": None, "b": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 1}),
        ({"a": ""}, {"a": "x", "c": 1}, {"a": "x", "c": 1}),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, {"a": {"b": [1, 2]}}),
        ([1], {"a": 1}, [1]),
        (0, 5, 0),
        (False, True, False),
    ],
)
def test_merged_joins_lists_and_keeps_what_is_there(first: Any, second: Any, both: Any) -> None:
    assert documents.merged(first, second) == both


# Contexts.


def unit(**more: Any) -> Unit:
    return Unit(name="it", kind="prompt", description="", **more)


TAUGHT: dict[str, Any] = {
    "system": "Speak {to}.",
    "prompt": "In {to}: {input}",
    "examples": (Example("hi", "salut", {"to": "French"}), Example("hi", "hallo", {"to": "German"}), Example("1", "1")),
}


def contents(context: Context) -> list[str]:
    return [piece.content for piece in context.pieces]


def test_a_context_has_the_examples_that_the_options_ask_for() -> None:
    given = image("prompt", unit=unit(**TAUGHT), options={"to": "French"})
    context = turns.context(given, "{to} {input}")
    assert contents(context) == [
        "Speak French.",
        "In French: hi",
        "salut",
        "In French: 1",
        "1",
        "In French: {to} {input}",
    ]
    assert not context.raw


def test_another_prompt_goes_without_examples() -> None:
    given = image("prompt", unit=unit(**TAUGHT), options={"to": "French"})
    assert contents(turns.context(given, "x", "join {input}")) == ["Speak French.", "join x"]
    assert contents(turns.context(image("prompt", unit=unit()), "x", "join {input}")) == ["join x"]


def test_a_plain_unit_is_one_text() -> None:
    given = image("prompt", unit=unit(**{**TAUGHT, "prompt": "{input} ->"}, raw=True), options={"to": "German"})
    assert turns.context(given, "x") == Context(
        [Piece("user", "Speak German.\n\nhi -> hallo\n\n1 -> 1\n\nx ->")], raw=True
    )
    assert turns.gap(given) == " "


@pytest.mark.parametrize(("prompt", "gap"), [("{input}:", " "), ("{input} ", ""), ("{input}\n", "")])
def test_a_gap_stands_once(prompt: str, gap: str) -> None:
    assert turns.gap(image("prompt", unit=unit(prompt=prompt, raw=True))) == gap
    assert turns.gap(image("prompt", unit=unit(prompt=prompt))) == ""


def test_the_callers_raw_text_has_nothing_around_it() -> None:
    given = image("prompt", unit=unit(**TAUGHT), options={"to": "French"}, raw=True)
    assert turns.context(given, "x") == Context([Piece("user", "x")], raw=True)
