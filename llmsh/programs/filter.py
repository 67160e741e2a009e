"""The kind `filter`: a line in, a line out, in order, each written as soon as it is done.

A blank line comes out as an empty one and costs nothing. A line that cannot be done comes out
empty too, with a note, and the status is 1 at the end: the lines after it keep their numbers.
"""

from typing import Any

import msgspec

from llmsh.abi.program import Compiled, Effect, Event, Generate, Generated, Image, Placed, Refused, State, Turn, Write
from llmsh.programs import ends, grammar, lines, turns
from llmsh.programs.grammar import Compiling
from llmsh.programs.intake import Item
from llmsh.programs.lines import Lines


class Reading(msgspec.Struct, tag=True, frozen=True):
    """Waits for Input."""

    image: Image
    lines: Lines
    status: int = 0


class Placing(msgspec.Struct, tag=True, frozen=True):
    """Waits for Placed."""

    image: Image
    lines: Lines
    status: int


class Answering(msgspec.Struct, tag=True, frozen=True):
    """Waits for Generated."""

    image: Image
    lines: Lines
    status: int
    tokens: int


def _read(image: Image, inn: Lines, status: int, dirty: bool) -> Turn:
    """Go on to the next line that has something on it. `dirty`: what has been said of the input."""
    effects: list[Effect] = []
    while True:
        inn, need = lines.advance(inn)
        if not isinstance(need, Item) or need.text.strip():
            break
        if need.fault:
            status = 1
            effects.append(ends.say(image, need.fault))
        ends.put(effects, b"\n")
    effects += ends.unclean(image, dirty, inn.dirty)
    if need is None:
        return ends.Ended(), [*effects, *ends.ended(status)[1]]
    if not isinstance(need, Item):
        return Reading(image, inn, status), [*effects, need]
    return Placing(image, inn, status), [*effects, turns.context(image, need.text.strip())]


def _lost(image: Image, after: Lines, note: str) -> Turn:
    """This line comes out empty."""
    state, effects = _read(image, after, 1, after.dirty)
    return state, [ends.say(image, f"line {after.number}: {note}"), Write(1, b"\n"), *effects]


def _generated(state: Answering, event: Generated) -> Turn:
    if event.why == "full":
        return _lost(state.image, state.lines, ends.full(state.image, state.tokens, event))
    if torn := grammar.torn(state.image, event):
        return _lost(state.image, state.lines, torn)
    line = " ".join(event.text.decode(errors="replace").split("\n"))
    line = line.strip() if state.image.unit.strip else line
    after, effects = _read(state.image, state.lines, state.status, state.lines.dirty)
    return after, [Write(1, line.encode() + b"\n"), *effects]


def _placed(state: Placing, event: Placed) -> Turn:
    image = state.image
    if event.room <= 0:
        return _lost(image, state.lines, f"{event.tokens} tokens: the context holds {image.context}")
    # An answer is one line: what follows a newline would be another line's.
    stop = image.sampling.stop if "\n" in image.sampling.stop else (*image.sampling.stop, "\n")
    sampling = msgspec.structs.replace(image.sampling, stop=stop)
    effect = Generate(sampling, image.max_tokens, fd=-1, capture=True)
    return Answering(image, state.lines, state.status, event.tokens), [effect]


class Filter:
    """See abi.program.Program."""

    kind = "filter"
    catches: frozenset[int] = frozenset()
    states: Any = Compiling | Reading | Placing | Answering | ends.Ended

    def start(self, image: Image) -> Turn:
        """Begin with the first line; a schema first."""
        return grammar.compiling(image) or _read(image, lines.opened(image), 0, dirty=False)

    def step(self, state: State, event: Event) -> Turn:
        """One event."""
        match state, event:
            case Placing(), Refused(code="E2BIG" | "ENOMEM"):
                return _lost(state.image, state.lines, event.detail)
            case _, Refused():
                return ends.refused(event)
            case Compiling(), Compiled():
                image = grammar.held(state.image, event)
                return _read(image, lines.opened(image), 0, dirty=False)
            case Reading(), _:
                return _read(state.image, lines.receive(state.lines, event), state.status, state.lines.dirty)
            case Placing(), Placed():
                return _placed(state, event)
            case Answering(), Generated():
                return _generated(state, event)
            case _:
                raise ends.unexpected(state, event)
