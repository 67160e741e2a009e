"""The conversation that a unit makes of an input: system message, examples, the user's turn.

All programs build their contexts here, so processes of one unit begin with the same text.
"""

from collections.abc import Mapping

from llmsh.abi import template
from llmsh.abi.lease import Piece
from llmsh.abi.program import Image
from llmsh.abi.unit import Scalar


def _fits(when: Mapping[str, Scalar], options: Mapping[str, Scalar]) -> bool:
    return all(options.get(name) == value for name, value in when.items())


def user(image: Image, text: str, prompt: str = "") -> Piece:
    """The user's turn with this text in it; `prompt` in place of the unit's."""
    values = {**image.options, template.INPUT: text}
    return Piece("user", template.fill(prompt or image.unit.prompt, values))


def opening(image: Image) -> list[Piece]:
    """What comes before the input: the shared text segment of the unit."""
    unit = image.unit
    pieces = [Piece("system", template.fill(unit.system, image.options).strip())] if unit.system else []
    for example in unit.examples:
        if _fits(example.when, image.options):
            pieces += [user(image, example.input), Piece("assistant", example.answer)]
    return pieces


def conversation(image: Image, text: str, prompt: str = "") -> list[Piece]:
    """The whole context for one input. Raw: the user's turn alone, as it is.

    A prompt other than the unit's own goes without the unit's examples: they show another task.
    """
    turn = user(image, text, prompt)
    if image.raw:
        return [turn]
    if prompt:
        return [*opening(image)[: bool(image.unit.system)], turn]
    return [*opening(image), turn]
