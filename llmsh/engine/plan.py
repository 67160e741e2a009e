"""What a core's next step computes: a pure function of its sequences and the room of the step.

Every generating sequence gets its one token; what room is left goes to the prompt that is done soonest, but
for a part of everybody's: shared out evenly, all would be done as late as the last. Who may compute is the
kernel's business: it leases, or it does not. It calls no llama.cpp.
"""

from typing import NamedTuple

from llmsh.abi.limits import STEP_MAX_MS
from llmsh.engine.rate import SMALLEST, Rate
from llmsh.engine.score import Part
from llmsh.engine.sequence import Sequence

LONE, LONE_MS = 256, 4000.0
"""Tokens of a step of a prompt that is alone, and how long it may take: nothing is heard of an engine meanwhile, and
who is silent for ten seconds is taken for dead."""
PLANNED = 0.8
"""The part of a step's bound that is planned for: the machine is not always as fast as it just was."""
KEPT = 4
"""Of an even share of the room, a prompt that is not the shortest gets at least this part (1 / KEPT)."""


class Work(NamedTuple):
    """One sequence's part of a step: positions start .. end - 1 of its log, and whether the row of
    the last one is wanted (to sample or to score). `parts`: labels instead of the log."""

    sequence: Sequence
    start: int
    end: int
    row: bool
    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> int:
        """Tokens of the batch."""
        return sum(len(part.tokens) for part in self.parts) if self.parts else self.end - self.start


def plan(working: list[Sequence], room: int, capacity: int, context: int, scratch: int) -> list[Work]:
    """The works of the next step: `room` tokens, counting the generating ones, where that is
    possible; never more than `capacity`. One that failed among others goes alone."""
    first = next((each for each in working if each.alone or each.exact), None)
    if first is not None:
        return _alone(first, room, capacity, context, scratch)
    works: list[Work] = []
    long: list[Sequence] = []
    for each in working:
        if each.target(context) - each.computed == 1 and each.scoring is None:
            works.append(_log(each, each.computed + 1, context))
        else:
            long.append(each)
    del works[capacity:]
    left = min(max(room - len(works), len(long)), capacity - len(works))
    kept = max(1, left // (KEPT * max(1, len(long))))
    for i, each in enumerate(sorted(long, key=lambda each: each.target(context) - each.computed)):
        share = left - kept * (len(long) - i - 1)
        if share < 1:
            continue
        work = _chunk(each, share, context, scratch)
        if work is not None and work.size <= capacity - sum(w.size for w in works):
            works.append(work)
            left -= work.size
            scratch -= len(work.parts)
    return works


def room(working: list[Sequence], context: int, rate: Rate, *, large: bool) -> int:
    """Tokens of the next step. `large`: no other core works, and a token costs less in a step of many (cachetype)."""
    most = bound(working, context)
    usual = rate.room(PLANNED * most, SMALLEST if most == STEP_MAX_MS else 1)
    return max(usual, lone(working, context, rate.room(LONE_MS))) if large else usual


def bound(working: list[Sequence], context: int) -> float:
    """How many milliseconds the next step may take: the usual, or what a sequence that makes a token in it
    was leased with, if that is less."""
    paces = [each.pace for each in working if each.pace and each.target(context) - each.computed == 1]
    return min([STEP_MAX_MS, *paces])


def lone(working: list[Sequence], context: int, most: int = LONE) -> int:
    """Room of a step for a prompt that nobody waits behind, 0 for the usual. Equal parts of LONE tokens
    at most, or `most`. The kernel aborts such a step when somebody comes; a prompt that was once aborted is computed in
    the usual pieces, or it might never end."""
    if len(working) != 1 or working[0].interrupted:
        return 0
    left = working[0].target(context) - working[0].computed
    return -(-left // -(-left // min(LONE, most))) if left > 0 else 0


def _alone(each: Sequence, room: int, capacity: int, context: int, scratch: int) -> list[Work]:
    if each.exact and (each.scoring is None or not each.scoring.prompted):
        return [_log(each, each.chunk_end(each.target(context)), context)]
    # An exact score is one label a step: how many fit a group depends on how fast the machine was.
    work = _chunk(each, min(room, capacity), context, min(scratch, 1) if each.exact else scratch)
    return [work] if work is not None else []


def _log(each: Sequence, end: int, context: int) -> Work:
    row = end == len(each.log) and (each.scoring is not None or each.grows(context))
    return Work(each, each.computed, end, row)


def _chunk(each: Sequence, room: int, context: int, scratch: int) -> Work | None:
    if each.scoring is not None and each.scoring.prompted:
        parts = each.scoring.group(scratch, room) if scratch > 0 else []
        return Work(each, each.computed, each.computed, False, tuple(parts)) if parts else None
    end = min(each.target(context), each.computed + room)
    return _log(each, end, context) if end > each.computed else None
