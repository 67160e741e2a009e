"""Gives the engine what it lacks of a stream, before its lease: the sequence, what it shares, its image, its
tokens, its answer.

It decides nothing: what is shared with whom is sharing's, who fits residence's.
"""

from typing import Protocol

from llmsh.abi.lease import Answer, Feed, Load, Open
from llmsh.kernel.port import Port
from llmsh.kernel.sharing import Need, Sharing
from llmsh.kernel.stream import GENERATE, Stream


class Owner(Protocol):
    """The core."""

    index: int
    port: Port
    sharing: Sharing

    def rebuild(self, stream: Stream) -> None:
        """Forget the engine's copy of a stream."""


def enter(core: Owner, stream: Stream, need: Need) -> None:
    """Say what the engine does not know."""
    new = not stream.q
    core.sharing.enter(stream, need)
    if new and not stream.computed:
        core.port.post(Open(stream.q, core.index, stream.exact))
    if stream.image:
        _load(core, stream)
    if stream.sent < len(stream):
        feed(core.port, stream)
    if new or stream.indexed is None:
        core.sharing.index(stream)
    answer = stream.answer
    if answer is not None and not answer.sent and stream.goal == GENERATE:
        core.port.post(Answer(stream.q, answer.at, answer.sampling))
        answer.sent = True


def _load(core: Owner, stream: Stream) -> None:
    def loaded(holder: Stream, op: int, error: str, scores: list[float]) -> None:
        if error and holder.q:
            core.rebuild(holder)

    op = core.port.operation(stream, loaded)
    core.port.swap.gone(stream)
    core.port.post(Load(stream.q, op, stream.base.q if stream.base is not None else 0))
    stream.image = 0
    core.port.changed()  # half in an image, it could not move to another core


def feed(port: Port, stream: Stream) -> None:
    """Say what the engine does not know of its log."""
    at = stream.sent
    for tokens, made in stream.runs(at):
        port.post(Feed(stream.q, at, tokens, made and stream.exact))
        at += len(tokens)
    stream.sent = len(stream)
