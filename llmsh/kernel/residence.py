"""Who may be in a core's cells when there are not enough: claims, turns, images.

The neediest stream that lacks cells becomes the claimant: what becomes free is kept for it, who
deserves tokens less is moved to an image or not renewed. So all take turns and nobody fails. It
decides nothing about who is needy; the core's rank does.
"""

from typing import Protocol

from llmsh.abi.lease import Save
from llmsh.kernel.cells import Cells
from llmsh.kernel.port import Port
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.stream import Stream


class Owner(Protocol):
    """The core whose cells these are."""

    port: Port
    cells: Cells
    queue: RunQueue
    leased: dict[int, Stream]

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve."""

    def halt(self, stream: Stream) -> None:
        """Take a lease back."""

    def rebuild(self, stream: Stream) -> None:
        """Forget the engine's copy of a stream."""


class Residence:
    """Admission to the cells of one core."""

    def __init__(self, core: Owner) -> None:
        self.core = core
        self.claimant: Stream | None = None
        self.claimed = 0
        self.doomed: set[Stream] = set()
        """Leased, not renewed: the claimant gets their cells."""

    def admit(self, stream: Stream, upto: int) -> bool:
        """Whether the stream may hold `upto` cells now; if not, it claims them unless somebody
        needier claims already."""
        cells, claimant = self.core.cells, self.claimant
        if claimant is not None and claimant is not stream and self.core.rank(claimant) <= self.core.rank(stream):
            return cells.missing(stream, upto + self.claimed) == 0
        if not cells.missing(stream, upto):
            self.withdraw(stream)
            return True
        self.claimant, self.claimed = stream, max(0, upto - stream.held)
        stream.client.blocked("swap")
        self._make_room(stream, upto)
        return False

    def withdraw(self, stream: Stream) -> None:
        """The stream's claim is met or void."""
        if self.claimant is stream:
            self.void()

    def void(self) -> None:
        """There is no claim."""
        self.claimant, self.claimed = None, 0
        self.doomed.clear()

    def save(self, stream: Stream) -> None:
        """Move a quiet stream's cells into an image."""
        stream.op = self.core.port.operation(stream, self._saved)
        stream.image = stream.computed
        self.core.cells.leave(stream, stream.op)
        self.core.port.post(Save(stream.q, stream.op))

    def _saved(self, stream: Stream, op: int, error: str, scores: list[float]) -> None:
        self.core.cells.left(op)
        if stream.op != op:
            return
        stream.op = 0
        if error:
            # The image could not be taken (memory is short): the log is still there.
            self.core.rebuild(stream)

    def _make_room(self, stream: Stream, upto: int) -> None:
        """Save others until the stream fits: first who waits, then who deserves tokens least."""
        core = self.core
        short = core.cells.missing(stream, upto) - core.cells.leaving
        if short <= 0:
            return
        mine = core.rank(stream)
        quiet = [other for other in core.cells.residents if not (other.leased or other.op or other is stream)]
        idle = [other for other in quiet if other not in core.queue]
        busy = [other for other in quiet if other in core.queue and core.rank(other) > mine]
        for victim in idle + sorted(busy, key=core.rank, reverse=True):
            short -= victim.held
            self.save(victim)
            if short <= 0:
                return
        self._doom(stream, short)

    def _doom(self, stream: Stream, short: int) -> None:
        core, mine = self.core, self.core.rank(stream)
        others = [other for other in core.leased.values() if other is not stream and core.rank(other) > mine]
        for victim in sorted(others, key=core.rank, reverse=True):
            short -= victim.held
            self.doomed.add(victim)
            if stream.task.boost:
                core.halt(victim)
            if short <= 0:
                return
