"""The loop that classify and extract share: the next item of the input that has something in it.

It knows how blank lines, faults and bytes that are no text are answered, not what an item is for.
"""

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.program import TOO_LONG, Effect, Exit, Image, Refused, Write
from llmsh.programs import ends, intake, supply
from llmsh.programs.intake import Intake, Item
from llmsh.programs.supply import Supply


class Progress(msgspec.Struct, frozen=True):
    """How far the input is taken up."""

    supply: Supply
    status: int = 0
    said: bool = False
    """That bytes of it were no text has been said."""


class Next(msgspec.Struct, frozen=True):
    """What comes next: `effects` first; then `item` to work on, or `need` to wait for, or the end."""

    progress: Progress
    effects: list[Effect]
    item: Item | None = None
    need: Effect | None = None


def following(image: Image, progress: Progress, blank: bytes) -> Next:
    """Go on; a blank or faulty line is answered with `blank`. An input that must be one part and
    cannot be needs Exit."""
    effects: list[Effect] = []
    inn, status = progress.supply, progress.status
    while True:
        try:
            inn, need = supply.advance(inn)
        except Error as error:
            return Next(progress, [], need=Exit(1, error.detail))
        if not isinstance(need, Item) or need.text.strip():
            break
        if need.fault:
            status = 1
            effects.append(ends.say(image, need.fault))
        ends.put(effects, blank)
    effects += ends.unclean(image, progress.said, inn.dirty)
    progress = Progress(inn, status, progress.said or inn.dirty)
    if isinstance(need, Item):
        return Next(progress, effects, item=need)
    return Next(progress, effects, need=need)


def misfit(image: Image, progress: Progress, text: str, event: Refused, blank: bytes) -> tuple[Progress, list[Effect]]:
    """An item did not fit the context: a part is put back to be cut again, a line is answered with
    `blank`. When neither helps, the last effect is Exit."""
    if event.code not in TOO_LONG:
        return progress, ends.refused(event)[1]
    if isinstance(progress.supply, Intake):
        halved = intake.smaller(progress.supply, text)
        if halved is None:
            return progress, ends.refused(event)[1]
        return msgspec.structs.replace(progress, supply=halved), []
    said = ends.say(image, f"line {progress.supply.number}: {event.detail}")
    return msgspec.structs.replace(progress, status=1), [said, Write(1, blank)]
