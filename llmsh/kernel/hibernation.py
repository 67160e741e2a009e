"""A model leaves memory for others: what its processes have in cells and images goes to the swap file, and the engine
that it comes back on is told where it lies.

It says when the engine may go; which model goes, and when, is models.py's. What finds no room in the file, or is
computed sooner by the measured rates, is computed again from the logs. Source: swapping, as Unix did with processes.
"""

from collections.abc import Iterator
from typing import Protocol

from llmsh.abi.lease import EXACT, Adopt, Feed, Open
from llmsh.kernel.core import Core
from llmsh.kernel.entry import feed
from llmsh.kernel.holder import Holder, line
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.port import Port
from llmsh.kernel.stream import Stream
from llmsh.kernel.swap import Swap

LONGEST_S = 5.0
"""So long others wait for it; what is not written by then is computed again."""


class Owner(Port, Protocol):
    """The host."""

    cores: dict[int, Core]
    members: set[Stream]

    @property
    def swap(self) -> Swap:
        """The images of this device."""

    @property
    def works(self) -> bool:
        """Whether the engine owes steps."""

    @property
    def operating(self) -> int:
        """Operations that the engine has not ended."""


class Hibernation:
    """Of one host."""

    def __init__(self, host: Owner) -> None:
        self._host = host
        self._until = 0.0

    def begin(self) -> None:
        """The engine is to go; its leases have been taken back."""
        self._until = self._host.now() + LONGEST_S
        self.go()

    def go(self) -> None:
        """As far as it can be done now: something has ended."""
        if self._host.works or not self._host.swap.extents.capacity:
            return
        for core in self._host.cores.values():
            while (victim := next(_able(core), None)) is not None:
                if isinstance(victim, Keeper) and not victim.users:
                    core.sharing.drop(victim)
                else:
                    core.residence.save(victim)
        if not self._host.operating:
            self._host.swap.stow()

    @property
    def done(self) -> bool:
        """Whether the engine may go."""
        if not self._host.swap.extents.capacity or self._host.now() >= self._until:
            return True
        resident = any(core.cells.residents for core in self._host.cores.values())
        return not (resident or self._host.operating or self._host.swap.stays)

    def kept(self) -> set[Holder]:
        """What is in the file, with all that it begins with, now that the engine is gone."""
        there = set(self._host.swap.resting())
        streams = [each for each in self._host.members if each in there and there.issuperset(line(each))]
        return {each for stream in streams for each in line(stream)}

    def end(self) -> None:
        """The next engine is there; it is told what lies in the file."""
        for holder in self._host.swap.resting():
            port, core = self._host, self._host.cores[holder.core]
            port.enter(holder)
            port.post(Open(holder.q, core.index, core.index == EXACT))
            if isinstance(holder, Stream):
                feed(port, holder)
            else:
                port.post(Feed(holder.q, 0, holder.log.tolist()))
            holder.op = port.operation(holder, self._adopted)
            port.post(Adopt(holder.q, holder.computed, holder.shared, self._host.swap.returns(holder), holder.op))
            core.sharing.index(holder)

    def _adopted(self, holder: Holder, op: int, error: str, scores: list[float]) -> None:
        if holder.op == op:
            holder.op = 0
            if error:
                self._host.swap.forget(holder)


def _able(core: Core) -> Iterator[Holder]:
    """Residents that can leave the cells now."""
    for each in core.cells.residents:
        if not (each.op or (isinstance(each, Keeper) and core.sharing.wanted(each))):
            yield each
