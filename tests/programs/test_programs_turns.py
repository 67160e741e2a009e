"""The contexts that units make: turns or plain text, examples that fit, holes filled once."""

from typing import Any

from llmsh.abi.lease import Piece
from llmsh.abi.program import Context
from llmsh.abi.unit import Example, Option, Unit
from llmsh.programs import turns
from tests.support.programrun import image

EXAMPLES = (
    Example("one", "un", {"to": "French"}),
    Example("two", "zwei", {"to": "de"}),
    Example("three", "3"),
)


def unit(**more: Any) -> Unit:
    option = Option(help="", default="fr", values={"fr": "French", "de": "German"})
    return Unit(
        name="it",
        kind="prompt",
        description="",
        system="To {to}.",
        prompt="{to}: {input}",
        examples=EXAMPLES,
        options={"to": option},
        **more,
    )


def contents(context: Context) -> list[tuple[str, str]]:
    return [(piece.role, piece.content) for piece in context.pieces]


def test_holes_hold_what_values_are_called_and_examples_fit_either_name() -> None:
    context = turns.context(image("prompt", unit=unit(), options={"to": "fr"}), "four {to}")
    assert not context.raw
    assert contents(context) == [
        ("system", "To French."),
        ("user", "French: one"),
        ("assistant", "un"),
        ("user", "French: three"),
        ("assistant", "3"),
        ("user", "French: four {to}"),
    ]
    german = contents(turns.context(image("prompt", unit=unit(), options={"to": "de"}), "four"))
    assert german[1:3] == [("user", "German: two"), ("assistant", "zwei")]
    other = contents(turns.context(image("prompt", unit=unit(), options={"to": "Welsh"}), "four"))
    assert [text for _, text in other] == ["To Welsh.", "Welsh: three", "3", "Welsh: four"]


def test_a_prompt_of_another_kind_goes_without_examples() -> None:
    given = image("prompt", unit=unit(), options={"to": "fr"})
    assert contents(turns.context(given, "x", "join {input}")) == [("system", "To French."), ("user", "join x")]


def test_a_raw_unit_is_one_plain_text() -> None:
    given = image("prompt", unit=unit(raw=True), options={"to": "fr"})
    text = "To French.\n\nFrench: one un\n\nFrench: three 3\n\nFrench: four"
    assert turns.context(given, "four") == Context([Piece("user", text)], raw=True)
    assert turns.gap(given) == " "


def test_no_gap_where_the_prompt_ends_in_white_space_or_there_is_a_template() -> None:
    ended = Unit(name="it", kind="prompt", description="", raw=True, prompt="{input}\n", examples=(Example("a", "b"),))
    given = image("prompt", unit=ended)
    assert turns.gap(given) == ""
    assert turns.context(given, "c").pieces[0].content == "a\nb\n\nc\n"
    assert turns.gap(image("prompt", unit=unit(), options={"to": "fr"})) == ""


def test_the_callers_raw_text_has_nothing_around_it() -> None:
    for kind in (unit(), unit(raw=True)):
        given = image("prompt", unit=kind, options={"to": "fr"}, raw=True)
        assert turns.context(given, "x {to}") == Context([Piece("user", "x {to}")], raw=True)
        assert turns.gap(given) == ""
