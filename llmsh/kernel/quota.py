"""The most cells that the processes of a group, or of a session, may have in the caches together.

At the limit they take turns within it, as all do in a full cache: who deserves tokens least leaves for an image.
Nobody outside notices. It decides nothing between those who are within their limits; the core does.
Source: memory.max in Linux's Documentation/admin-guide/cgroup-v2.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from llmsh.kernel.cells import Cells
from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sharing import Need
from llmsh.kernel.stream import Stream


class Residence(Protocol):
    """What is asked of a core's residence."""

    doomed: set[Stream]

    def scores(self, stream: Stream, more: int = 0) -> bool:
        """Whether it is one step from its end, with cells for that."""

    def save(self, holder: Holder) -> None:
        """Move its cells into an image."""


class Core(Protocol):
    """What is asked of a core."""

    cells: Cells
    queue: RunQueue

    @property
    def residence(self) -> Residence:
        """Who may be in its cells."""

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve."""

    def halt(self, stream: Stream) -> None:
        """Take a lease back."""

    def plan(self) -> None:
        """Grant leases."""


class Quota:
    """Of one group or session, over all cores of all devices."""

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self._homes: dict[Stream, Core] = {}
        """The members that have asked for cells, and of which core."""
        self._cores: Counter[Core] = Counter()
        """How many of them each core has."""
        self._version = 0
        self._summed: tuple[int, int, frozenset[Keeper]] = (-1, 0, frozenset())
        """What was added up last, and of which version of all that it depends on."""
        self._claimant: Stream | None = None
        self._claimed = 0

    @property
    def used(self) -> int:
        """Cells that its members have; what they share counts once, and what is on its way out still."""
        return self._sum()[0]

    def _keepers(self) -> frozenset[Keeper]:
        return self._sum()[1]

    def _sum(self) -> tuple[int, frozenset[Keeper]]:
        """Cells and keepers of the members. In one plan it is asked for each of them who waits."""
        version = self._version + sum(core.cells.version for core in self._cores)
        if version != self._summed[0]:
            self._summed = (version, *self._add())
        return self._summed[1:]

    def _add(self) -> tuple[int, frozenset[Keeper]]:
        residents = (each for each, home in self._homes.items() if each in home.cells)
        keepers = frozenset(keeper for each in residents for keeper in _bases(each.base))
        own = sum(each.held + home.cells.given(each.op) for each, home in self._homes.items())
        return own + sum(keeper.held for keeper in keepers), keepers

    def allow(self, core: Core, stream: Stream, need: Need) -> bool:
        """Whether the stream may have what it needs now; if not, others of the group leave for it."""
        self.enter(core, stream)
        more = self._more(core, need)
        short = self._short(core, stream, more)
        if short <= 0:
            return True
        if not self._needier(core, stream):
            self._claimant, self._claimed = stream, more
            stream.client.blocked("swap")
            self._make_room(core, stream, need.spared, short)
        return False

    def lacks(self, core: Core, stream: Stream, need: Need) -> bool:
        """Whether it waits for what others of the group have, or somebody needier does: a seat is no use to it."""
        waits = self._claimant is stream or self._needier(core, stream)
        return waits and self._short(core, stream, self._more(core, need)) > 0

    def _short(self, core: Core, stream: Stream, more: int) -> int:
        """Cells that are missing, beside those that somebody needier claims; a score at its end comes before claims."""
        short = self.used + more - self.cells
        if self._needier(core, stream) and not (short <= 0 and core.residence.scores(stream, more)):
            short += self._claimed
        return short

    def _needier(self, core: Core, stream: Stream) -> bool:
        """Whether somebody else claims what becomes free, and deserves it more."""
        other = self._claimant
        if other is None or other is stream:
            return False
        return self._homes[other].rank(other) <= core.rank(stream)

    def beside(self, donor: Holder, cells: int) -> bool:
        """Whether so many cells may be had beside those of who gives part of them, and cannot leave meanwhile."""
        return donor not in self._homes or cells <= self.cells

    def _more(self, core: Core, need: Need) -> int:
        """Cells that would count for this group then, too: its own, and those of keepers that no member is based on
        yet. Of the last of these only what is shared counts: the rest is somebody else's, also if it has to be
        loaded on the way."""
        more, known, donor = need.cells, self._keepers(), need.donor
        if isinstance(donor, Stream):
            return more + (need.share if donor not in self._homes else 0)
        share = need.share
        for each in _bases(donor):
            if each not in core.cells:
                more -= each.image
            if each not in known:
                more += share - each.shared
            share = each.shared
        return more

    def _make_room(self, core: Core, stream: Stream, spared: set[Holder], short: int) -> None:
        mine = core.rank(stream)
        there = [(each, home) for each, home in self._there() if each is not stream and each not in spared]
        alone = stream.suspect  # it is tried, and nobody else runs before that is over
        others = [
            (each, home)
            for each, home in there
            if alone or each not in home.queue or (home.rank(each) > mine and not self._scores(home, each))
        ]
        self._clear(others, short, hurry=bool(stream.task.boost))

    def _scores(self, core: Core, stream: Stream) -> bool:
        """See Residence.scores: the same of the limit."""
        if stream.leased or not core.residence.scores(stream):
            return False  # asked of every member: what follows goes over all of them
        return self.used + stream.lacking <= self.cells

    def reclaim(self) -> None:
        """The limit has become lower: who has cells beyond it leaves."""
        self._clear(self._there(), self.used - self.cells, hurry=False)

    def _there(self) -> list[tuple[Stream, Core]]:
        """Members in the cells, and in which."""
        return [(each, home) for each, home in self._homes.items() if each in home.cells and not each.op]

    def _clear(self, some: list[tuple[Stream, Core]], short: int, *, hurry: bool) -> None:
        """Of these so many leave that so many cells become free: now, or when their leases end."""
        short -= sum(home.cells.given(each.op) for each, home in self._homes.items())
        for other, home in _ordered(some):
            if short <= 0:
                return
            short -= other.held
            if not other.leased:
                home.residence.save(other)
                continue
            home.residence.doomed.add(other)
            if hurry and not other.task.boost:
                home.halt(other)

    def enter(self, core: Core, stream: Stream) -> None:
        """It is a member, and of this core."""
        if self._homes.get(stream) is not core:
            self._forget(stream)
            self._homes[stream] = core
            self._cores[core] += 1
            self._version += 1

    def _forget(self, stream: Stream) -> None:
        core = self._homes.pop(stream, None)
        if core is None:
            return
        self._version += 1
        self._cores[core] -= 1
        if not self._cores[core]:
            del self._cores[core]
            self._version += core.cells.version  # it counts on, or the sum would be one that was

    def withdraw(self, stream: Stream) -> None:
        """It has what it needed, or wants nothing."""
        if self._claimant is stream:
            self._claimant, self._claimed = None, 0

    def void(self, stream: Stream) -> None:
        """Nobody but the stream may claim anything now."""
        if self._claimant is not stream:
            self._claimant, self._claimed = None, 0

    def leave(self, stream: Stream) -> None:
        """It is no member any more."""
        self.withdraw(stream)
        self._forget(stream)

    def check(self) -> list[str]:
        """Faults in its books."""
        known, found = self._sum(), self._add()
        return [f"{known[0]} cells in the books, {found[0]} used"] if known != found else []

    def freed(self, core: Core | None = None) -> None:
        """A member of this core has given up cells, or the limit is another: who waits on another core asks again."""
        home = self._homes.get(self._claimant) if self._claimant is not None else None
        if home is not None and home is not core:
            home.plan()


def _ordered(some: list[tuple[Stream, Core]]) -> Iterator[tuple[Stream, Core]]:
    """In the order in which they should leave: who has the highest score; of equal ones who waits, then who deserves
    least; those with a lease, who cannot leave at once, last."""
    busy = [each for each in some if each[0] in each[1].queue or each[0].leased]
    order = sorted(
        (each for each in some if each[0] not in each[1].queue and not each[0].leased),
        key=lambda each: not each[0].client.away,
    )
    order += sorted(busy, key=lambda each: each[1].rank(each[0]), reverse=True)
    yield from sorted(order, key=lambda each: (each[0].leased, -each[0].oom))


def _bases(holder: Holder | None) -> Iterator[Keeper]:
    while holder is not None:
        if isinstance(holder, Keeper):
            yield holder
        holder = holder.base
