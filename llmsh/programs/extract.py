"""The kind `extract`: a JSON document by the unit's schema, for the input or for each line of it.

The answer is held to the schema by a grammar. long = "parts": the documents of the parts are merged.
"""

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
from llmsh.programs import documents, ends, items, supply, turns
from llmsh.programs.intake import Intake
from llmsh.programs.items import Progress

BLANK = b"null\n"
"""For a line that has no document: every line of output is JSON."""


class Job(msgspec.Struct, frozen=True):
    """What stays from item to item."""

    image: Image
    grammar: str = ""
    document: Any = None
    """The parts so far."""
    seen: bool = False


class Compiling(msgspec.Struct, tag=True, frozen=True):
    """Waits for Compiled."""

    job: Job


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
    if not isinstance(progress.supply, Intake):
        return ends.ended(progress.status)[1]
    if not job.seen:
        return ends.no_input()[1]
    return [_print(job.document), *ends.ended()[1]]


def _again(job: Job, progress: Progress, said: list[Effect]) -> Turn:
    """Say something, then go on, unless it was the end."""
    if said and isinstance(said[-1], Exit):
        return ends.Ended(), said
    after, effects = _read(job, progress)
    return after, [*said, *effects]


def _unfinished(state: Answering, event: Generated) -> Turn:
    """The answer was cut before its document ended: it is no JSON."""
    note = f"answer cut after {event.tokens} tokens: no whole document"
    if event.why == "full":
        note = ends.full(state.job.image, state.tokens, event)
    if isinstance(state.progress.supply, Intake):
        return ends.ended(1, note)
    said = ends.say(state.job.image, f"line {state.progress.supply.number}: {note}")
    return _again(state.job, msgspec.structs.replace(state.progress, status=1), [said, Write(1, BLANK)])


def _generated(state: Answering, event: Generated) -> Turn:
    job = state.job
    try:
        document = documents.parse(event.text)
    except ValueError:
        return _unfinished(state, event)
    if job.image.unit.verbatim:
        document = documents.grounded(document, state.text)
    if not isinstance(state.progress.supply, Intake):
        return _again(job, state.progress, [_print(document)])
    if job.seen:
        document = documents.merged(job.document, document)
    return _read(msgspec.structs.replace(job, document=document, seen=True), state.progress)


class Extract:
    """See abi.program.Program."""

    kind = "extract"
    catches: frozenset[int] = frozenset()
    states: Any = Compiling | Reading | Placing | Answering | ends.Ended

    def start(self, image: Image) -> Turn:
        """The schema first: a broken one reads nothing."""
        return Compiling(Job(image)), [Compile(image.unit.schema)]

    def step(self, state: State, event: Event) -> Turn:
        """One event."""
        match state, event:
            case Placing(), Refused():
                found = items.misfit(state.job.image, state.progress, state.text, event, BLANK)
                return _again(state.job, *found)
            case _, Refused():
                return ends.refused(event)
            case Compiling(), Compiled():
                job = msgspec.structs.replace(state.job, grammar=event.grammar)
                return _read(job, Progress(supply.opened(job.image)))
            case Reading(), _:
                inn = supply.receive(state.progress.supply, event)
                return _read(state.job, msgspec.structs.replace(state.progress, supply=inn))
            case Placing(), Placed():
                sampling = msgspec.structs.replace(state.job.image.sampling, grammar=state.job.grammar)
                effect = Generate(sampling, state.job.image.max_tokens, fd=-1, capture=True)
                return Answering(state.job, state.progress, state.text, event.tokens), [effect]
            case Answering(), Generated():
                return _generated(state, event)
            case _:
                raise ends.unexpected(state, event)
