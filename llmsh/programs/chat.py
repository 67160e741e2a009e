"""The kind `chat`: a conversation, a line of input a turn.

On a terminal it asks with a prompt on standard error. INT ends an answer, which stays in the
conversation as far as it came; at the prompt it clears the line. The end of input ends the chat.
With shift the oldest turns go when the context is full, else it ends with status 1.
"""

from typing import Any

import msgspec

from llmsh.abi import signals
from llmsh.abi.lease import Piece
from llmsh.abi.program import (
    Compiled,
    Context,
    Effect,
    Event,
    Exit,
    Generate,
    Generated,
    Image,
    Placed,
    Refused,
    Signal,
    State,
    Turn,
    Write,
)
from llmsh.programs import ends, grammar, lines, turns
from llmsh.programs.grammar import Compiling
from llmsh.programs.intake import CONTEXT, Item
from llmsh.programs.lines import Lines

PROMPT = b"> "
RESERVE = 256
"""Tokens kept free for an answer that has no limit of its own, when turns are dropped."""


class Reading(msgspec.Struct, tag=True, frozen=True):
    """Waits for a line. `said`: the turns so far, without the unit's opening."""

    image: Image
    lines: Lines
    said: tuple[Piece, ...] = ()
    status: int = 0


class Placing(msgspec.Struct, tag=True, frozen=True):
    """Waits for Placed; the last turn said is the user's."""

    image: Image
    lines: Lines
    said: tuple[Piece, ...]
    status: int


class Answering(msgspec.Struct, tag=True, frozen=True):
    """Waits for Generated."""

    image: Image
    lines: Lines
    said: tuple[Piece, ...]
    status: int
    tokens: int


def _shift(image: Image) -> bool:
    return image.shift or image.unit.long == "shift"


def _ask(image: Image) -> list[Effect]:
    return [Write(ends.STDERR, PROMPT)] if image.tty else []


def _read(image: Image, inn: Lines, said: tuple[Piece, ...], status: int, dirty: bool) -> Turn:
    """Go on to the next line that has something on it."""
    effects: list[Effect] = []
    while True:
        inn, need = lines.advance(inn)
        if not isinstance(need, Item) or need.text.strip():
            break
        if need.fault:
            status = 1
            effects.append(ends.say(image, need.fault))
    effects += ends.unclean(image, dirty, inn.dirty)
    if need is None:
        # The cursor of a terminal still stands behind the prompt.
        end = [Write(ends.STDERR, b"\n")] if image.tty else []
        return ends.Ended(), [*effects, *end, *ends.ended(status)[1]]
    if not isinstance(need, Item):
        return Reading(image, inn, said, status), [*effects, *_ask(image), need]
    said = (*said, turns.user(image, need.text.strip()))
    pieces = list(said) if image.raw else [*turns.opening(image), *said]
    reserve = min(image.max_tokens or RESERVE, (image.context or CONTEXT) // 2)
    effects.append(Context(pieces, raw=image.raw, shift=_shift(image), reserve=reserve if _shift(image) else 0))
    return Placing(image, inn, said, status), effects


def _placed(state: Placing, event: Placed) -> Turn:
    """Turns that went from the context go from the conversation too, the unit's examples first."""
    image = state.image
    if event.room <= 0:
        return ends.ended(1, f"conversation of {event.tokens} tokens: the context holds {image.context}")
    opening = 0 if image.raw else len(turns.opening(image)) - bool(image.unit.system)
    gone = max(0, event.dropped - opening)
    answering = Answering(image, state.lines, state.said[gone:], state.status, event.tokens)
    return answering, [Generate(image.sampling, image.max_tokens, fd=1, capture=True)]


def _generated(state: Answering, event: Generated) -> Turn:
    image = state.image
    end: list[Effect] = [] if event.text.endswith(b"\n") else [Write(1, b"\n")]
    if event.why == "full" and not _shift(image):
        return ends.Ended(), [*end, *ends.ended(1, ends.full(image, state.tokens, event))[1]]
    torn = "" if event.why == "int" else grammar.torn(image, event)
    end += [ends.say(image, torn)] if torn else []
    said = (*state.said, Piece("assistant", event.text.decode(errors="replace").strip()))
    after, effects = _read(image, state.lines, said, state.status or int(bool(torn)), state.lines.dirty)
    return after, [*end, *effects]


def _open(image: Image) -> Turn:
    inn = lines.opened(image)
    if image.args and image.tty and not inn.more:
        inn = msgspec.structs.replace(inn, more=True)
    return _read(image, inn, (), 0, dirty=False)


def _interrupted(state: Reading, event: Signal) -> Turn:
    """INT at the prompt: a new line, as in a shell. Without a terminal nobody waits for one."""
    if not state.image.tty:
        return ends.Ended(), [Exit(signals.status(event.number))]
    inn = msgspec.structs.replace(state.lines, buffer=b"", skip=False)
    after, effects = _read(state.image, inn, state.said, state.status, inn.dirty)
    return after, [Write(ends.STDERR, b"\n"), *effects]


class Chat:
    """See abi.program.Program."""

    kind = "chat"
    catches = frozenset({signals.INT})
    states: Any = Compiling | Reading | Placing | Answering | ends.Ended

    def start(self, image: Image) -> Turn:
        """Text arguments are the first turn; without `-` among them and no terminal, the only one."""
        return grammar.compiling(image) or _open(image)

    def step(self, state: State, event: Event) -> Turn:
        """One event."""
        match state, event:
            case Reading(), Signal():
                return _interrupted(state, event)
            case _, Refused():
                return ends.refused(event)
            case Compiling(), Compiled():
                return _open(grammar.held(state.image, event))
            case Reading(), _:
                inn = lines.receive(state.lines, event)
                return _read(state.image, inn, state.said, state.status, state.lines.dirty)
            case Placing(), Placed():
                return _placed(state, event)
            case Answering(), Generated():
                return _generated(state, event)
            case _:
                raise ends.unexpected(state, event)
