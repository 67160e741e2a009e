"""The context that a unit makes of an input: system message, examples, the user's turn.

All programs build their contexts here, so processes of one unit begin with the same text. A unit
that is `raw` gets one plain text and no chat template: small models follow examples better there.
"""

from collections.abc import Mapping

from llmsh.abi import template
from llmsh.abi.lease import Piece
from llmsh.abi.program import Context, Image
from llmsh.abi.unit import Scalar

PARAGRAPH = "\n\n"
"""Between the exchanges of a plain text."""


def _called(image: Image) -> dict[str, Scalar]:
    """What the options' values are called in the prompts."""
    options = image.unit.options
    named = {name: option.values for name, option in options.items()}
    return {name: named.get(name, {}).get(str(value), value) for name, value in image.options.items()}


def _fits(when: Mapping[str, Scalar], image: Image, called: Mapping[str, Scalar]) -> bool:
    return all(value in (image.options.get(name), called.get(name)) for name, value in when.items())


def user(image: Image, text: str, prompt: str = "") -> Piece:
    """The user's turn with this text in it; `prompt` in place of the unit's."""
    values = {**_called(image), template.INPUT: text}
    return Piece("user", template.fill(prompt or image.unit.prompt, values))


def opening(image: Image) -> list[Piece]:
    """What comes before the input: the shared text segment of the unit."""
    unit, called = image.unit, _called(image)
    pieces = [Piece("system", template.fill(unit.system, called).strip())] if unit.system else []
    for example in unit.examples:
        if _fits(example.when, image, called):
            pieces += [user(image, example.input), Piece("assistant", example.answer)]
    return pieces


def gap(image: Image) -> str:
    """What stands between the user's turn and the answer in a plain text: a space, unless the
    prompt ends in one or in a newline. With a template it is the template's business."""
    return " " if image.unit.raw and not image.raw and not image.unit.prompt[-1:].isspace() else ""


def context(image: Image, text: str, prompt: str = "") -> Context:
    """The whole context for one input.

    The caller's --raw: the user's text as it is. A prompt other than the unit's own goes without the
    unit's examples: they show another task.
    """
    if image.raw:
        return Context([Piece("user", text)], raw=True)
    turn = user(image, text, prompt)
    before = opening(image)
    if prompt:
        before = before[: bool(image.unit.system)]
    if image.unit.raw:
        return Context([Piece("user", _plain(image, before) + turn.content)], raw=True)
    return Context([*before, turn])


def _plain(image: Image, pieces: list[Piece]) -> str:
    """Pieces as one text: answers behind their questions, an empty line between exchanges."""
    text = ""
    for piece in pieces:
        text += piece.content + (gap(image) if piece.role == "user" else PARAGRAPH)
    return text
