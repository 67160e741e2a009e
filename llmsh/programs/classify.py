"""The kind `classify`: one of the unit's labels for the input, or for each line of it.

Each label is scored by the model's own probability of its tokens after the prompt: nothing is
sampled. long = "parts": the distributions of the parts are averaged by their length.
"""

from typing import Any

import msgspec

from llmsh.abi.program import Effect, Event, Exit, Image, Placed, Refused, Score, Scored, State, Turn, Write
from llmsh.programs import ends, items, labels, supply, turns
from llmsh.programs.intake import Intake
from llmsh.programs.items import Progress

BLANK = b"\n"


class Job(msgspec.Struct, frozen=True):
    """What stays from item to item."""

    image: Image
    prior: tuple[float, ...] = ()
    """Scores of the unit's neutral input."""
    sums: tuple[float, ...] = ()
    """Of the parts so far: probabilities times lengths, added up."""
    weight: float = 0.0
    """Of the parts so far: the lengths."""


class Reading(msgspec.Struct, tag=True, frozen=True):
    """Waits for Input or Counted."""

    job: Job
    progress: Progress


class Placing(msgspec.Struct, tag=True, frozen=True):
    """Waits for Placed. `neutral`: it is the unit's neutral input."""

    job: Job
    progress: Progress
    text: str
    neutral: bool = False


class Scoring(msgspec.Struct, tag=True, frozen=True):
    """Waits for Scored."""

    job: Job
    progress: Progress
    text: str
    neutral: bool = False


def _print(job: Job, chances: list[float]) -> Write:
    image = job.image
    text = labels.line(image.unit.labels, chances, image.scores, image.output_json)
    return Write(1, f"{text}\n".encode())


def _read(job: Job, progress: Progress) -> Turn:
    """Go on to the next item."""
    found = items.following(job.image, progress, BLANK)
    if found.item:
        state = Placing(job, found.progress, found.item.text)
        return state, [*found.effects, turns.context(job.image, found.item.text.strip())]
    if found.need:
        after = ends.Ended() if isinstance(found.need, Exit) else Reading(job, found.progress)
        return after, [*found.effects, found.need]
    return ends.Ended(), [*found.effects, *_finish(job, found.progress)]


def _finish(job: Job, progress: Progress) -> list[Effect]:
    if not isinstance(progress.supply, Intake):
        return ends.ended(progress.status)[1]
    if not job.weight:
        return ends.no_input()[1]
    return [_print(job, [total / job.weight for total in job.sums]), *ends.ended()[1]]


def _scored(state: Scoring, event: Scored) -> Turn:
    job = state.job
    if state.neutral:
        return _read(msgspec.structs.replace(job, prior=tuple(event.scores)), state.progress)
    chances = labels.distribution(event.scores, job.prior)
    if isinstance(state.progress.supply, Intake):
        old = job.sums or (0.0,) * len(chances)
        weight = len(state.text)
        sums = tuple(total + chance * weight for total, chance in zip(old, chances, strict=True))
        return _read(msgspec.structs.replace(job, sums=sums, weight=job.weight + weight), state.progress)
    after, effects = _read(job, state.progress)
    return after, [_print(job, chances), *effects]


def _refused(state: Placing | Scoring, event: Refused) -> Turn:
    """The text, or the text and a label, are longer than the context."""
    progress, said = items.misfit(state.job.image, state.progress, state.text, event, BLANK)
    if said and isinstance(said[-1], Exit):
        return ends.Ended(), said
    after, effects = _read(state.job, progress)
    return after, [*said, *effects]


class Classify:
    """See abi.program.Program."""

    kind = "classify"
    catches: frozenset[int] = frozenset()
    states: Any = Reading | Placing | Scoring | ends.Ended

    def start(self, image: Image) -> Turn:
        """Score the neutral input first, when the unit has one."""
        job, progress = Job(image), Progress(supply.opened(image))
        if image.unit.neutral and not image.raw:
            return Placing(job, progress, "", neutral=True), [turns.context(image, image.unit.neutral)]
        return _read(job, progress)

    def step(self, state: State, event: Event) -> Turn:
        """One event."""
        match state, event:
            case ((Placing(neutral=False) | Scoring(neutral=False)), Refused()):
                return _refused(state, event)
            case _, Refused():
                return ends.refused(event)
            case Reading(), _:
                inn = supply.receive(state.progress.supply, event)
                return _read(state.job, msgspec.structs.replace(state.progress, supply=inn))
            case Placing(), Placed():
                scoring = Scoring(state.job, state.progress, state.text, state.neutral)
                gap = turns.gap(state.job.image)
                return scoring, [Score([gap + label for label in state.job.image.unit.labels])]
            case Scoring(), Scored():
                return _scored(state, event)
            case _:
                raise ends.unexpected(state, event)
