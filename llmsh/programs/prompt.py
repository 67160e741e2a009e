"""The kind `prompt`: an input, an answer. The answer goes to descriptor 1 as it is made.

long = "parts": an input over the part size is taken in parts, each answered by itself, and the
answers are printed at the end, a line each. Once there are more than FAN of them the oldest FAN are
made into one, and so on with those: any length takes bounded room and gives a bounded answer.

A unit's option `sentences` (an int) keeps the first so many of each answer; such an answer goes out
when it is done. With a JSON schema every answer is a document of it, and whole.
"""

from typing import Any, Literal

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.program import (
    TOO_LONG,
    Compiled,
    Effect,
    Event,
    Generate,
    Generated,
    Image,
    Placed,
    Refused,
    State,
    Turn,
    Write,
)
from llmsh.programs import ends, grammar, intake, sentences, turns
from llmsh.programs.grammar import Compiling
from llmsh.programs.intake import Intake, Item

FAN = 6
"""Answers of one level that are made into one of the next when there are more."""
OPTION = "sentences"
SENTENCE_MAX = 48
"""Tokens computed for each sentence that is kept: nobody waits for those that are not."""
Goal = Literal["answer", "part", "merge"]


class Note(msgspec.Struct, frozen=True):
    """The answer to a part (level 0), or to FAN ** level parts. Levels fall from first to last."""

    level: int
    text: str


class Reading(msgspec.Struct, tag=True, frozen=True):
    """Waits for Input or Counted."""

    image: Image
    intake: Intake
    notes: tuple[Note, ...] = ()


class Placing(msgspec.Struct, tag=True, frozen=True):
    """Waits for Placed. `goal`: the answer to all, to a part, or to the FAN notes from `at` on."""

    image: Image
    intake: Intake
    notes: tuple[Note, ...]
    goal: Goal
    text: str
    at: int = 0


class Answering(msgspec.Struct, tag=True, frozen=True):
    """Waits for Generated."""

    image: Image
    intake: Intake
    notes: tuple[Note, ...]
    goal: Goal
    at: int
    tokens: int


def _read(image: Image, inn: Intake, notes: tuple[Note, ...], dirty: bool) -> Turn:
    """Go on with the input until there is something to answer. `dirty`: what has been said of it."""
    said = ends.unclean(image, dirty, inn.dirty)
    try:
        inn, need = intake.advance(inn)
    except Error as error:
        return ends.failed(error)
    if need is None:
        state, effects = _finish(notes)
    elif isinstance(need, Item):
        state, effects = _place(image, inn, notes, "answer" if need.whole else "part", need.text)
    else:
        state, effects = Reading(image, inn, notes), [need]
    return state, [*said, *effects]


def _place(image: Image, inn: Intake, notes: tuple[Note, ...], goal: Goal, text: str, *, at: int = 0) -> Turn:
    prompt = image.unit.merge if goal == "merge" else ""
    return Placing(image, inn, notes, goal, text, at), [turns.context(image, text, prompt)]


def _fold(image: Image, inn: Intake, notes: tuple[Note, ...], level: int) -> Turn:
    """A note of this level has come: merge where there are more than FAN, else read on."""
    same = [index for index, note in enumerate(notes) if note.level == level]
    if len(same) <= FAN:
        return _read(image, inn, notes, inn.dirty)
    at = same[0]
    text = "\n".join(note.text for note in notes[at : at + FAN])
    return _place(image, inn, notes, "merge", text, at=at)


def _finish(notes: tuple[Note, ...]) -> Turn:
    """All input is read, and it took parts."""
    if not notes:
        return ends.no_input()
    text = "".join(f"{note.text}\n" for note in notes if note.text)
    return ends.Ended(), [Write(1, text.encode()), *ends.ended()[1]]


def _count(image: Image) -> int:
    """How many sentences of an answer are kept; 0 is all. A document has none."""
    value = 0 if image.sampling.grammar else image.options.get(OPTION)
    return value if type(value) is int and value > 0 else 0


def _text(image: Image, event: Generated) -> str:
    """What is kept of an answer."""
    text, count = event.text.decode(errors="replace").strip(), _count(image)
    return sentences.first(text, count, whole=event.why != "limit") if count else text


def _placed(state: Placing, event: Placed) -> Turn:
    image = state.image
    if event.room <= 0:
        return ends.ended(1, f"input of {event.tokens} tokens leaves no room in the context of {image.context}")
    count = _count(image)
    direct = state.goal == "answer" and not count
    limit = min(image.max_tokens or SENTENCE_MAX * count, SENTENCE_MAX * count) if count else image.max_tokens
    effect = Generate(image.sampling, limit, fd=1 if direct else -1, capture=True)
    return Answering(image, state.intake, state.notes, state.goal, state.at, event.tokens), [effect]


def _refused(state: Placing, event: Refused) -> Turn:
    """A part that is longer than it looked is cut again."""
    cuttable = state.goal != "merge" and event.code in TOO_LONG
    halved = intake.smaller(state.intake, state.text) if cuttable else None
    if halved is None:
        return ends.refused(event)
    return _read(state.image, msgspec.structs.replace(halved, given=True), state.notes, halved.dirty)


def _generated(state: Answering, event: Generated) -> Turn:
    image = state.image
    if state.goal == "answer":
        end: list[Effect] = [] if event.text.endswith(b"\n") else [Write(1, b"\n")]
        if _count(image):
            end = [Write(1, f"{_text(image, event)}\n".encode())]
        note = ends.full(image, state.tokens, event) if event.why == "full" else grammar.torn(image, event)
        return ends.Ended(), [*end, *ends.ended(int(bool(note)), note)[1]]
    if torn := grammar.torn(image, event):
        return ends.ended(1, torn)
    text = _text(image, event)
    notes, at = state.notes, state.at
    if state.goal == "part":
        return _fold(image, state.intake, (*notes, Note(0, text)), 0)
    level = notes[at].level + 1
    return _fold(image, state.intake, (*notes[:at], Note(level, text), *notes[at + FAN :]), level)


class Prompt:
    """See abi.program.Program."""

    kind = "prompt"
    catches: frozenset[int] = frozenset()
    states: Any = Compiling | Reading | Placing | Answering | ends.Ended

    def start(self, image: Image) -> Turn:
        """Begin to read, or answer the text arguments; a schema first."""
        return grammar.compiling(image) or _read(image, intake.opened(image), (), dirty=False)

    def step(self, state: State, event: Event) -> Turn:
        """One event."""
        match state, event:
            case Placing(), Refused():
                return _refused(state, event)
            case _, Refused():
                return ends.refused(event)
            case Compiling(), Compiled():
                image = grammar.held(state.image, event)
                return _read(image, intake.opened(image), (), dirty=False)
            case Reading(), _:
                return _read(state.image, intake.receive(state.intake, event), state.notes, state.intake.dirty)
            case Placing(), Placed():
                return _placed(state, event)
            case Answering(), Generated():
                return _generated(state, event)
            case _:
                raise ends.unexpected(state, event)
