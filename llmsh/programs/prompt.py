"""The kind `prompt`: an input, an answer. The answer goes to descriptor 1 as it is made.

long = "parts": an input over the part size is taken in parts; each is answered by itself, and FAN
answers of one level are merged into one of the next, so any length takes bounded room.
"""

from typing import Any, Literal

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.program import Effect, Event, Generate, Generated, Image, Placed, Refused, State, Turn, Write
from llmsh.programs import ends, intake, turns
from llmsh.programs.intake import Intake, Item

FAN = 6
"""Answers that are merged into one."""
Goal = Literal["answer", "part", "merge"]


class Note(msgspec.Struct, frozen=True):
    """The answer to a part (level 0), or to 6 ** level parts."""

    level: int
    text: str


class Reading(msgspec.Struct, tag=True, frozen=True):
    """Waits for Input or Counted."""

    image: Image
    intake: Intake
    notes: tuple[Note, ...] = ()


class Placing(msgspec.Struct, tag=True, frozen=True):
    """Waits for Placed. `goal`: the last answer, one part's, or a merge of the last `merged` notes."""

    image: Image
    intake: Intake
    notes: tuple[Note, ...]
    goal: Goal
    text: str
    merged: int = 0


class Answering(msgspec.Struct, tag=True, frozen=True):
    """Waits for Generated."""

    image: Image
    intake: Intake
    notes: tuple[Note, ...]
    goal: Goal
    merged: int
    tokens: int


def _read(image: Image, inn: Intake, notes: tuple[Note, ...], dirty: bool) -> Turn:
    """Go on with the input until there is something to answer. `dirty`: what has been said of it."""
    said = ends.unclean(image, dirty, inn.dirty)
    try:
        inn, need = intake.advance(inn)
    except Error as error:
        return ends.failed(error)
    if need is None:
        state, effects = _finish(image, inn, notes)
    elif isinstance(need, Item):
        state, effects = _place(image, inn, notes, "answer" if need.whole else "part", need.text)
    else:
        state, effects = Reading(image, inn, notes), [need]
    return state, [*said, *effects]


def _place(image: Image, inn: Intake, notes: tuple[Note, ...], goal: Goal, text: str, *, merged: int = 0) -> Turn:
    prompt = image.unit.merge if merged else ""
    return Placing(image, inn, notes, goal, text, merged), [turns.context(image, text, prompt)]


def _merge(image: Image, inn: Intake, notes: tuple[Note, ...], goal: Goal, count: int) -> Turn:
    text = "\n".join(note.text for note in notes[-count:])
    return _place(image, inn, notes, goal, text, merged=count)


def _fold(image: Image, inn: Intake, notes: tuple[Note, ...]) -> Turn:
    """Merge where a level is full, else read on."""
    last = notes[-FAN:]
    if len(last) == FAN and last[0].level == last[-1].level:
        return _merge(image, inn, notes, "merge", FAN)
    return _read(image, inn, notes, inn.dirty)


def _finish(image: Image, inn: Intake, notes: tuple[Note, ...]) -> Turn:
    """All input is read: one answer from the notes there are."""
    if not notes:
        return ends.no_input()
    if len(notes) == 1:
        return ends.Ended(), [Write(1, notes[0].text.encode() + b"\n"), *ends.ended()[1]]
    if len(notes) > FAN:
        return _merge(image, inn, notes, "merge", FAN)
    return _merge(image, inn, notes, "answer", len(notes))


def _placed(state: Placing, event: Placed) -> Turn:
    image = state.image
    if event.room <= 0:
        return ends.ended(1, f"input of {event.tokens} tokens leaves no room in the context of {image.context}")
    last = state.goal == "answer"
    effect = Generate(image.sampling, image.max_tokens, fd=1 if last else -1, capture=True)
    return Answering(image, state.intake, state.notes, state.goal, state.merged, event.tokens), [effect]


def _refused(state: Placing, event: Refused) -> Turn:
    """A part that is longer than it looked is cut again."""
    whole = state.goal == "part" or (state.goal == "answer" and not state.merged)
    halved = intake.smaller(state.intake, state.text) if whole and event.code == "E2BIG" else None
    if halved is None:
        return ends.refused(event)
    return _read(state.image, msgspec.structs.replace(halved, given=True), state.notes, halved.dirty)


def _generated(state: Answering, event: Generated) -> Turn:
    image = state.image
    if state.goal == "answer":
        end: list[Effect] = [] if event.text.endswith(b"\n") else [Write(1, b"\n")]
        full = event.why == "full"
        return ends.Ended(), [*end, *ends.ended(int(full), ends.full(image, state.tokens, event) if full else "")[1]]
    text = event.text.decode(errors="replace").strip()
    if not state.merged:
        return _fold(image, state.intake, (*state.notes, Note(0, text)))
    merged = state.notes[-state.merged :]
    note = Note(max(old.level for old in merged) + 1, text)
    return _fold(image, state.intake, (*state.notes[: -state.merged], note))


class Prompt:
    """See abi.program.Program."""

    kind = "prompt"
    catches: frozenset[int] = frozenset()
    states: Any = Reading | Placing | Answering | ends.Ended

    def start(self, image: Image) -> Turn:
        """Begin to read, or answer the text arguments."""
        return _read(image, intake.opened(image), (), dirty=False)

    def step(self, state: State, event: Event) -> Turn:
        """One event."""
        match state, event:
            case Placing(), Refused():
                return _refused(state, event)
            case _, Refused():
                return ends.refused(event)
            case Reading(), _:
                return _read(state.image, intake.receive(state.intake, event), state.notes, state.intake.dirty)
            case Placing(), Placed():
                return _placed(state, event)
            case Answering(), Generated():
                return _generated(state, event)
            case _:
                raise ends.unexpected(state, event)
