"""Takes a stream from one core to another, with its cells as an image. Who goes where is balance.py's."""

from functools import partial

from llmsh.abi.lease import Move
from llmsh.kernel.core import Core
from llmsh.kernel.stream import Stream


def movable(core: Core, stream: Stream) -> bool:
    """Whether the stream can go to another core, once it is quiet."""
    bound = stream.image and stream.base is not None  # half of it lies in an image, half with others here
    free = not (stream.halting or stream.op or stream.suspect or stream.exact or bound)
    return free and stream is not core.residence.claimant


def migrate(stream: Stream, source: Core, target: Core) -> None:
    """Give a movable, quiet stream to another core; a runnable one keeps its lead over the others."""
    lag, runnable = source.queue.policy.lag(stream.task), stream in source.queue
    source.block(stream)
    source.residence.doomed.discard(stream)
    if stream.q:
        source.sharing.part(stream)
        at = target.sharing.adopt(stream)
        stream.image = stream.own
        stream.op = source.port.operation(stream, partial(_moved, source, target))
        source.cells.leave(stream, stream.op)
        source.port.post(Move(stream.q, target.index, stream.op, at))
    stream.core, stream.moved = target.index, source.port.now()
    if runnable:
        target.queue.join(stream, lag)


def _moved(source: Core, target: Core, stream: Stream, op: int, error: str, scores: list[float]) -> None:
    source.cells.left(op)
    if stream.op == op:
        stream.op = 0
        if error:
            target.rebuild(stream)
    source.plan()
