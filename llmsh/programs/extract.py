"""The kind `extract`: a JSON document by the unit's schema, for the input or for each line of it.

The answer is held to the schema by a grammar. long = "parts": the documents of the parts are merged.
What is whole in an answer that was cut is kept, with a note, and the status is 1.
"""

import json
from typing import Any

import msgspec

from llmsh.abi.program import (
    Compile,
    Compiled,
    Effect,
    Event,
    Exit,
    Generate,
    Generated,
    Image,
    Placed,
    Refused,
    State,
    Turn,
    Write,
)
from llmsh.programs import documents, ends, grammar, items, supply, turns
from llmsh.programs.grammar import Compiling
from llmsh.programs.intake import Intake
from llmsh.programs.items import Progress

BLANK = b"null\n"
"""For a line that has no document: every line of output is JSON."""


class Job(msgspec.Struct, frozen=True):
    """What stays from item to item."""

    image: Image
    document: Any = None
    """The parts so far."""
    seen: bool = False
    cut: bool = False
    """That an answer was cut: the status is 1 at the end."""


class Reading(msgspec.Struct, tag=True, frozen=True):
    """Waits for Input or Counted."""

    job: Job
    progress: Progress


class Placing(msgspec.Struct, tag=True, frozen=True):
    """Waits for Placed."""

    job: Job
    progress: Progress
    text: str


class Answering(msgspec.Struct, tag=True, frozen=True):
    """Waits for Generated."""

    job: Job
    progress: Progress
    text: str
    tokens: int


def _print(document: Any) -> Write:
    return Write(1, f"{documents.line(document)}\n".encode())


def _read(job: Job, progress: Progress) -> Turn:
    """Go on to the next item."""
    found = items.following(job.image, progress, BLANK)
    if found.item:
        text = found.item.text
        return Placing(job, found.progress, text), [*found.effects, turns.context(job.image, text.strip())]
    if found.need:
        after = ends.Ended() if isinstance(found.need, Exit) else Reading(job, found.progress)
        return after, [*found.effects, found.need]
    return ends.Ended(), [*found.effects, *_finish(job, found.progress)]


def _finish(job: Job, progress: Progress) -> list[Effect]:
    status = int(job.cut) or progress.status
    if not isinstance(progress.supply, Intake):
        return ends.ended(status)[1]
    if not job.seen:
        return ends.ended(1)[1] if job.cut else ends.no_input()[1]
    return [_print(job.document), *ends.ended(status)[1]]


def _again(job: Job, progress: Progress, said: list[Effect]) -> Turn:
    """Say something, then go on, unless it was the end."""
    if said and isinstance(said[-1], Exit):
        return ends.Ended(), said
    after, effects = _read(job, progress)
    return after, [*said, *effects]


def _generated(state: Answering, event: Generated) -> Turn:
    job = state.job
    said: list[Effect] = []
    try:
        document = documents.parse(event.text)
    except ValueError:
        # The answer was cut before its document ended.
        said = [ends.say(job.image, _cut(state, event))]
        job = msgspec.structs.replace(job, cut=True)
        try:
            document = documents.salvage(event.text)
        except ValueError:
            return _lost(state, job, said)
    if job.image.unit.verbatim:
        document = documents.grounded(document, state.text, documents.names(json.loads(job.image.unit.schema)))
    if not isinstance(state.progress.supply, Intake):
        after, effects = _read(job, state.progress)
        return after, [*said, _print(document), *effects]
    if job.seen:
        document = documents.merged(job.document, document)
    after, effects = _read(msgspec.structs.replace(job, document=document, seen=True), state.progress)
    return after, [*said, *effects]


def _cut(state: Answering, event: Generated) -> str:
    """What to say of an answer that is no whole document."""
    note = f"answer cut after {event.tokens} tokens: no whole document"
    if event.why == "full":
        note = ends.full(state.job.image, state.tokens, event)
    inn = state.progress.supply
    return note if isinstance(inn, Intake) else f"line {inn.number}: {note}"


def _lost(state: Answering, job: Job, said: list[Effect]) -> Turn:
    """Nothing of the answer is JSON."""
    after, effects = _read(job, state.progress)
    blank: list[Effect] = [] if isinstance(state.progress.supply, Intake) else [Write(1, BLANK)]
    return after, [*said, *blank, *effects]


class Extract:
    """See abi.program.Program."""

    kind = "extract"
    catches: frozenset[int] = frozenset()
    states: Any = Compiling | Reading | Placing | Answering | ends.Ended

    def start(self, image: Image) -> Turn:
        """The schema first: a broken one reads nothing."""
        return Compiling(image), [Compile(image.unit.schema)]

    def step(self, state: State, event: Event) -> Turn:
        """One event."""
        match state, event:
            case Placing(), Refused():
                found = items.misfit(state.job.image, state.progress, state.text, event, BLANK)
                return _again(state.job, *found)
            case _, Refused():
                return ends.refused(event)
            case Compiling(), Compiled():
                image = grammar.held(state.image, event)
                return _read(Job(image), Progress(supply.opened(image)))
            case Reading(), _:
                inn = supply.receive(state.progress.supply, event)
                return _read(state.job, msgspec.structs.replace(state.progress, supply=inn))
            case Placing(), Placed():
                effect = Generate(state.job.image.sampling, state.job.image.max_tokens, fd=-1, capture=True)
                return Answering(state.job, state.progress, state.text, event.tokens), [effect]
            case Answering(), Generated():
                return _generated(state, event)
            case _:
                raise ends.unexpected(state, event)
