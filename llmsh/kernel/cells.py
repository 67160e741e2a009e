"""The books of one core's cache: who holds how many cells. A full cache is answered with "not yet".

It posts no message; it says who could make room. The invariant: the sum of what is held and of what
is being given up never exceeds the capacity, so a decode never finds the cache full. Cells that are
shared count once, for the keeper that holds them for all.
"""

from collections import OrderedDict

from llmsh.kernel.holder import Holder


class Cells:
    """Cells and sequences of one core, held by holders; least recently used first."""

    def __init__(self, capacity: int, sequences: int) -> None:
        self.capacity = capacity
        self.sequences = sequences
        self.used = 0
        self.highest = 0
        """Cells up to the highest one in use, as the engine last said. What is only reserved counts in `used`."""
        self.now = 0.0
        """Tokens that the core's steps have made so far, for `touched`; one of input counts less."""
        self.version = 0
        """Counts changes of who holds how many: what was added up stays right as long as this is the same."""
        self._residents: OrderedDict[Holder, None] = OrderedDict()
        self._leaving: dict[int, int] = {}

    def __contains__(self, holder: Holder) -> bool:
        return holder in self._residents

    @property
    def free(self) -> int:
        """Cells that nobody holds."""
        return self.capacity - self.used

    @property
    def residents(self) -> list[Holder]:
        """Who holds cells, least recently used first."""
        return list(self._residents)

    @property
    def oldest(self) -> Holder | None:
        """Whose cells were not used for the longest time."""
        return next(iter(self._residents), None)

    @property
    def leaving(self) -> int:
        """Cells on their way out."""
        return sum(self._leaving.values())

    def given(self, op: int) -> int:
        """Cells that an operation gives up."""
        return self._leaving.get(op, 0)

    @property
    def going(self) -> int:
        """Sequences on their way out."""
        return len(self._leaving)

    @property
    def seats(self) -> int:
        """Sequences that nobody has."""
        return self.sequences - len(self._residents) - len(self._leaving)

    def touch(self, holder: Holder) -> None:
        """It was used just now, and after it what it is based on: that leaves last."""
        at: Holder | None = holder
        while at is not None and at in self._residents:
            self._residents.move_to_end(at)
            at.touched = self.now
            at = at.base

    def hold(self, holder: Holder, count: int) -> None:
        """It reaches `count` cells far from now on, shared ones included; 0: it is not resident."""
        self.version += 1
        own = max(0, count - holder.shared)
        self.used += own - holder.held
        holder.held = own
        if count:
            self._residents[holder] = None
            self.touch(holder)
        else:
            self._residents.pop(holder, None)

    def lend(self, holder: Holder, keeper: Holder, count: int) -> None:
        """The first `count` cells of a resident's own are the keeper's from now on; nothing else changes."""
        self.version += 1
        holder.held -= count
        keeper.held = count
        self._residents[keeper] = None
        self.touch(holder)

    def take(self, holder: Holder, keeper: Holder) -> None:
        """The inverse of `lend`: all that the keeper has is the holder's own from now on."""
        self.version += 1
        holder.held += keeper.held
        keeper.held = 0

    def leave(self, holder: Holder, op: int) -> None:
        """Its cells, if it has any, are being given up by operation `op`; they are used until `left`."""
        self.version += 1
        if holder in self._residents:
            self._leaving[op] = holder.held
            holder.held = 0
            del self._residents[holder]

    def left(self, op: int) -> None:
        """That operation has ended: its cells are free."""
        self.version += 1
        self.used -= self._leaving.pop(op, 0)

    def void(self) -> None:
        """The engine is gone and with it all cells."""
        self.version += 1
        for holder in self._residents:
            holder.held = 0
        self._residents.clear()
        self._leaving.clear()
        self.used = self.highest = 0

    def check(self) -> list[str]:
        """Faults in the books."""
        held = sum(holder.held for holder in self._residents)
        faults = []
        if held + self.leaving != self.used:
            faults.append(f"{held} cells held and {self.leaving} leaving, {self.used} in the books")
        if self.used > self.capacity:
            faults.append(f"{self.used} cells of {self.capacity}")
        if self.seats < 0:
            faults.append(f"{-self.seats} sequences more than {self.sequences}")
        faults += [
            f"holder {holder.ident}: resident without the {holder.shared} cells that it shares"
            for holder in self._residents
            if holder.base is not None and holder.base not in self._residents
        ]
        return faults
