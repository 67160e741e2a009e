"""What came back from the engine, in a core's books: tokens appended, service charged, leases ended.

It decides nothing; what follows, the core plans.
"""

from typing import Protocol

from llmsh.abi.lease import EOS, FAULT, GRAMMAR, LIMIT, NOCELL, STOP, Halted, Step
from llmsh.kernel.cells import Cells
from llmsh.kernel.pace import Pace
from llmsh.kernel.port import Port
from llmsh.kernel.residence import Residence
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.stream import GENERATE, Stream


class Owner(Protocol):
    """The core."""

    port: Port
    cells: Cells
    queue: RunQueue
    pace: Pace
    residence: Residence
    leased: dict[int, Stream]
    heard: float
    steps: int


def stepped(core: Owner, step: Step) -> None:
    """One decode: append, charge, deliver. Its time is divided by the work of each: a token made, or what
    tokens of input cost as measured."""
    core.steps, core.cells.highest = step.no, step.highest
    core.heard = core.port.now()
    core.pace.saw(step)
    cost = core.port.input_cost
    each = step.ms / max(1.0, len(step.rows) + cost * sum(count for _, count in step.fed))
    for q, count in step.fed:
        stream = core.leased.get(q)
        if stream is not None:
            _fed(core, stream, count, count * cost, count * cost * each)
    for q, pos, token, data, safe in step.rows:
        stream = core.leased.get(q)
        if stream is None or pos != len(stream) or pos >= stream.upto or stream.answer is None:
            core.port.dropped += 1
            continue
        _made(core, stream, token, data, each)
        if core.leased.get(q) is stream:
            stream.client.released(stream.answer.release(safe))


def _fed(core: Owner, stream: Stream, count: int, cost: float, ms: float) -> None:
    each = cost / count if count else 0.0
    stream.computed = min(len(stream), stream.computed + count)
    new = max(0, stream.computed - stream.reached)
    stream.reached = max(stream.reached, stream.computed)
    stream.foresee(core.port.input_cost)
    stream.task.since = core.heard
    core.queue.charge(stream, cost, min(count, new) * each)
    core.queue.used(stream, cost)
    stream.client.computed(count, ms)


def _made(core: Owner, stream: Stream, token: int, data: bytes, ms: float) -> None:
    assert stream.answer is not None
    stream.computed = len(stream)
    stream.reached = max(stream.reached, stream.computed)
    stream.append([token], made=True)
    stream.sent = len(stream)
    stream.suspect = False
    stream.task.bound -= 1.0
    stream.task.since = core.heard
    core.queue.spend(stream)
    core.queue.used(stream, 1.0)
    stream.answer.data += data
    stream.client.made(1, ms)


def scores(core: Owner, stream: Stream) -> None:
    """Its labels are to be computed: granted as input is."""
    core.queue.charge(stream, labels(core, stream))


def unscored(core: Owner, stream: Stream) -> None:
    """They will not be, or not by this engine."""
    core.queue.charge(stream, -labels(core, stream))


def scored(core: Owner, stream: Stream) -> None:
    """They were: service had, and what it may have waited too long for."""
    stream.task.since = core.heard = core.port.now()
    core.queue.used(stream, labels(core, stream))
    core.queue.served(stream)


def labels(core: Owner, stream: Stream) -> float:
    """What its labels cost, in generated tokens."""
    return sum(map(len, stream.labels)) * core.port.input_cost


def halted(core: Owner, message: Halted) -> None:
    """A lease ended: what was granted and not used is given back."""
    core.heard = core.port.now()
    stream = core.leased.pop(message.q, None)
    if stream is None:
        core.port.dropped += 1
        return
    core.queue.charge(stream, float(min(0, len(stream) - stream.upto)))
    stream.halted += 1
    stream.upto = 0
    stream.halting = False
    core.cells.hold(stream, stream.computed)
    core.residence.doomed.discard(stream)
    stream.client.rated(message.logprob)
    stream.quieten()
    if stream.q == message.q and stream.goal:
        _ended(core, stream, message)


def _ended(core: Owner, stream: Stream, message: Halted) -> None:
    why, answer = message.why, stream.answer
    if why == FAULT:
        stream.client.faulted(message.detail or "the engine refused the step")
    elif why == NOCELL:
        core.port.panic(f"no cell for sequence {stream.q}: {core.cells.check() or 'the books are right'}")
    elif stream.goal != GENERATE or answer is None:
        return
    elif why in (EOS, STOP, GRAMMAR) or len(stream) >= answer.end:
        stream.client.released(answer.release(message.safe) if why == STOP else answer.flush())
        core.queue.served(stream)
        # A limit may have been lowered meanwhile: then it was revoked.
        stream.client.answered(why if why in (EOS, STOP, GRAMMAR) else LIMIT)
