"""Takes a stream from one core to another, with its cells as an image. Who goes where is balance.py's."""

from functools import partial

from llmsh.abi.lease import Fork, Move
from llmsh.kernel.core import Core
from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.stream import Stream

WORTH = 64
"""Tokens to compute that matter more than an even load."""


def movable(core: Core, stream: Stream) -> bool:
    """Whether the stream can go to another core, once it is quiet."""
    bound = stream.image and stream.base is not None  # half of it lies in an image, half with others here
    free = not (stream.halting or stream.op or stream.suspect or stream.exact or bound)
    return free and stream is not core.residence.claimant


def rooted(stream: Stream, here: Core, there: Core) -> bool:
    """Whether a stream had better stay: it would have to compute there what it shares here, or others wait here for
    what it computes. Who is done with that takes it along, and the others find it there."""
    if stream.q:
        return here.sharing.waiting.on(stream)
    return there.sharing.ahead(stream) - here.sharing.ahead(stream) > WORTH


def migrate(stream: Stream, source: Core, target: Core) -> None:
    """Give a movable, quiet stream to another core; a runnable one keeps its lead over the others."""
    lag, runnable = source.queue.policy.lag(stream.task), stream in source.queue
    brings = _brings(stream, source, target)
    if stream.q and not stream.own:
        source.rebuild(stream)  # it begins there as it did here
    source.block(stream)
    source.residence.doomed.discard(stream)
    if stream.q:
        source.sharing.part(stream)
        at = target.sharing.adopt(stream)
        stream.image = stream.own
        stream.op = source.port.operation(stream, partial(_moved, source, target))
        source.cells.leave(stream, stream.op)
        source.port.post(Move(stream.q, target.index, stream.op, at))
    if brings is not None:
        _bring(*brings, source, target)
    stream.core, stream.moved = target.index, source.port.now()
    if not stream.q:
        source.port.moves += 1  # there is nothing of it in the engine: it is there already
    if runnable:
        target.queue.join(stream, lag)


def _moved(source: Core, target: Core, stream: Stream, op: int, error: str, scores: list[float]) -> None:
    source.cells.left(op)
    if stream.op == op:
        stream.op = 0
        if error:
            target.rebuild(stream)  # it runs there, but nothing has come along: this counts as no move
        else:
            source.port.moves += 1
    source.plan()


def _brings(stream: Stream, source: Core, target: Core) -> tuple[Keeper, Keeper] | None:
    """What it shares here goes along once, for it and for all who follow: the keeper, and the one there that is to have
    the same."""
    base = stream.base
    if base is None or base not in source.cells:
        return None
    if len(base.users) == 2 and (base.passing or any(isinstance(user, Keeper) for user in base.users)):
        return None  # it is one with the other once the stream has left
    there = target.sharing.kept(stream, len(base))
    if len(base) - (len(there) if there is not None else 0) <= WORTH:
        return None
    return base, target.sharing.receive(base)


def _bring(base: Keeper, copy: Keeper, source: Core, target: Core) -> None:
    """The sequence that the stream has just given up is enough for the way: messages are obeyed in order."""
    port = source.port
    port.post(Fork(base.q, copy.q, len(base), port.operation(copy, _copied)))
    copy.op = port.operation(copy, partial(_brought, source, target))
    port.post(Move(copy.q, target.index, copy.op))


def _copied(holder: Holder, op: int, error: str, scores: list[float]) -> None:
    """Nothing waits for it: what follows on the channel comes after it."""


def _brought(source: Core, target: Core, holder: Holder, op: int, error: str, scores: list[float]) -> None:
    if isinstance(holder, Keeper) and holder.op == op:
        holder.op = 0
        if error:
            target.sharing.lose(holder)
    source.plan()
