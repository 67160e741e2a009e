"""Who may be in a core's cells: claims and turns when there are not enough, and the price of lying there idle.

The neediest stream that lacks cells becomes the claimant: what becomes free is kept for it, who
deserves tokens less is moved to an image or not renewed. So all take turns and nobody fails. It
decides nothing about who is needy; the core's rank does.
"""

from collections.abc import Iterator
from typing import Protocol

from llmsh.abi.lease import Save, Step
from llmsh.kernel.cells import Cells
from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.packing import Packing
from llmsh.kernel.port import Port
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sharing import Need, Sharing
from llmsh.kernel.stream import SCORE, Stream
from llmsh.kernel.tax import Tax


class Owner(Protocol):
    """The core whose cells these are."""

    index: int
    port: Port
    cells: Cells
    queue: RunQueue
    sharing: Sharing
    leased: dict[int, Stream]

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve."""

    def halt(self, stream: Stream) -> None:
        """Take a lease back."""

    def rebuild(self, stream: Stream) -> None:
        """Forget the engine's copy of a stream."""

    @property
    def residence(self) -> "Residence":
        """This."""

    def plan(self) -> None:
        """Grant leases."""


class Residence:
    """Admission to the cells of one core."""

    def __init__(self, core: Owner, tax: Tax) -> None:
        self.core = core
        self.tax = tax
        self.packing = Packing(core, tax)
        self.claimant: Stream | None = None
        self.claimed = Need(0, 0)
        self.doomed: set[Stream] = set()
        """Leased, not renewed: the claimant gets their cells."""

    # Claims.

    def admit(self, stream: Stream, need: Need) -> bool:
        """Whether the stream may have what it needs now, of the limits that concern it and of the core."""
        if not all(quota.allow(self.core, stream, need) for quota in stream.quotas):
            if self.claimant is stream:
                self.void()
            return False
        if not self._admit(stream, need):
            return False
        self.withdraw(stream)
        return True

    def _admit(self, stream: Stream, need: Need) -> bool:
        """Of the core; if not, it claims that unless somebody needier claims already."""
        claimant, claimed = self.claimant, self.claimed
        if self.scores(stream, need.cells):
            return True
        if claimant is not None and claimant is not stream and self.core.rank(claimant) <= self.core.rank(stream):
            return not any(self._short(need.cells + claimed.cells, need.sequences + claimed.sequences))
        if not any(self._short(need.cells, need.sequences)):
            return True
        self.claimant, self.claimed = stream, need
        stream.client.blocked("swap")
        self._make_room(stream, need)
        return False

    def withdraw(self, stream: Stream) -> None:
        """The stream's claims are met or void."""
        for quota in stream.quotas:
            quota.withdraw(stream)
        if self.claimant is stream:
            self.void()

    def void(self) -> None:
        """There is no claim."""
        self.claimant, self.claimed = None, Need(0, 0)
        self.doomed.clear()

    def lacks(self, stream: Stream, need: Need) -> bool:
        """Whether it claims what is not free yet, and is on its way."""
        cells, sequences = self._short(need.cells, need.sequences)
        books = self.core.cells
        coming = bool(self.doomed) or (cells <= books.leaving and sequences <= books.going)
        return stream is self.claimant and coming and cells + sequences > 0

    def _short(self, cells: int, sequences: int) -> tuple[int, int]:
        """Cells and sequences that are missing."""
        books = self.core.cells
        return max(0, cells - books.free), max(0, sequences - books.seats)

    def _make_room(self, stream: Stream, need: Need) -> None:
        """Save others until the stream fits: first who waits, then who deserves tokens least."""
        books = self.core.cells
        cells, sequences = self._short(need.cells, need.sequences)
        cells, sequences = cells - books.leaving, sequences - books.going
        for victim in self._victims(stream, need.spared):
            if cells <= 0 and sequences <= 0:
                return
            cells, sequences = cells - victim.held, sequences - 1
            self.save(victim)
        if cells > 0 or sequences > 0:
            self._doom(stream, cells, sequences)

    def _victims(self, stream: Stream, spared: set[Holder]) -> Iterator[Holder]:
        """Quiet holders that may leave, in the order in which they should; a keeper once nobody needs it there."""
        core = self.core
        residents = [each for each in core.cells.residents if each is not stream and each not in spared]
        kept = [each for each in residents if isinstance(each, Keeper) and not each.op]
        for keeper in sorted(kept, key=lambda each: bool(each.users)):  # first those that no process is based on
            yield from self._unwanted(keeper, spared)
        quiet = [each for each in residents if isinstance(each, Stream) and not (each.leased or each.op)]
        mine = core.rank(stream)
        busy = [each for each in quiet if each in core.queue and core.rank(each) > mine and not self.scores(each)]
        if stream.suspect:  # it is tried alone: nobody else runs before that is over
            busy = [each for each in quiet if each in core.queue]
        # A person or a message may take its time; who has only to be read from may be back at once.
        order = sorted((each for each in quiet if each not in core.queue), key=lambda each: not each.client.away)
        order += sorted(busy, key=core.rank, reverse=True)
        # What was said of them comes before what they do: sorting keeps that order among equal scores.
        for victim in sorted(order, key=lambda each: -each.oom):
            base = victim.base
            yield victim
            yield from self._unwanted(base, spared)

    def scores(self, stream: Stream, more: int = 0) -> bool:
        """Whether it is one step from its end, with cells for that. It comes before every claim: a score makes no
        tokens, so those who wait for scores would push each other out for ever."""
        if stream.goal != SCORE or not stream.ready_to_score or stream not in self.core.cells:
            return False
        return not self._short(more or stream.lacking, 0)[0]

    def _unwanted(self, keeper: Keeper | None, spared: set[Holder]) -> Iterator[Keeper]:
        """A keeper that nobody needs in the cells, and then what it is based on, if that is the same."""
        while keeper is not None and keeper not in spared and keeper in self.core.cells:
            if keeper.op or self.core.sharing.wanted(keeper):
                return
            base = keeper.base
            yield keeper
            keeper = base

    def _doom(self, stream: Stream, cells: int, sequences: int) -> None:
        core, mine = self.core, self.core.rank(stream)
        others = [other for other in core.leased.values() if other is not stream and core.rank(other) > mine]
        for victim in sorted(others, key=lambda each: (each.oom, core.rank(each)), reverse=True):
            cells, sequences = cells - victim.held, sequences - 1
            self.doomed.add(victim)
            if stream.task.boost and not victim.task.boost:
                core.halt(victim)
            if cells <= 0 and sequences <= 0:
                return

    # Images.

    def save(self, holder: Holder) -> None:
        """Move a quiet holder's own cells into an image; whose base stays, or is saved by itself."""
        if isinstance(holder, Stream) and (holder.own <= 0 or not self.core.port.swap.keeps(holder)):
            self.core.rebuild(holder)  # nothing is computed that others do not have, or that is not made as soon
            return
        holder.op = self.core.port.operation(holder, self._saved)
        holder.image = holder.own
        self.core.cells.leave(holder, holder.op)
        self.core.port.post(Save(holder.q, holder.op, holder.shared))

    def gave(self, stream: Stream) -> None:
        """It has given up cells: others of its group, on other cores, may have waited for that."""
        for quota in stream.quotas:
            quota.freed(self.core)

    def _saved(self, holder: Holder, op: int, error: str, scores: list[float]) -> None:
        self.core.cells.left(op)
        if isinstance(holder, Stream):
            self.gave(holder)
        if holder.op != op:
            return
        holder.op = 0
        if not error:
            return
        # The image could not be taken (memory is short): the log is still there.
        if isinstance(holder, Stream):
            self.core.rebuild(holder)
        elif isinstance(holder, Keeper):
            self.core.sharing.lose(holder)

    def stepped(self, step: Step) -> None:
        """A step was made: whoever lies idle for longer than it pays leaves the cells, and holes are closed. Every
        token of a step pays, one of input as much less as it costs less.

        One is looked at a step, the least recently used; who is in use goes to the end of the line."""
        cells = self.core.cells
        fed = sum(count for _, count in step.fed)
        tokens = len(step.rows) + fed * self.core.port.input_cost
        if not tokens:
            return  # a measurement, while nobody runs
        cells.now += tokens
        self.packing.stepped(step.used, tokens)
        holder = cells.oldest
        if holder is None:
            return
        if self._in_use(holder):
            cells.touch(holder)
        elif self.tax.due(max(1, holder.held), cells.now - holder.touched):
            self.save(holder)

    def _in_use(self, holder: Holder) -> bool:
        if isinstance(holder, Stream):
            return bool(holder.leased or holder.op) or holder in self.core.queue
        return bool(holder.op) or (isinstance(holder, Keeper) and self.core.sharing.wanted(holder))
