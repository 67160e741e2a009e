"""Closes the holes of one core's cache: cells that nobody holds, but below the highest one that somebody does.

Every step goes over them. When they have cost as much as closing them does, the engine is told to, a few
milliseconds' worth at a time; what processes hold stays what it is, so nobody waits and no book changes. It
decides nothing about who may be there.
"""

from typing import Protocol

from llmsh.abi.lease import EXACT, Pack
from llmsh.kernel.cells import Cells
from llmsh.kernel.holder import Holder
from llmsh.kernel.port import Port
from llmsh.kernel.stream import Stream
from llmsh.kernel.tax import Tax


class Owner(Protocol):
    """The core."""

    index: int
    port: Port
    cells: Cells
    leased: dict[int, Stream]


class Packing:
    """Of one core."""

    def __init__(self, core: Owner, tax: Tax) -> None:
        self._core = core
        self._tax = tax
        self._paid = 0.0
        """Milliseconds that holes have cost since they were last closed."""
        self._holder = Holder(0, "")
        """Whose the operation is: nobody's. It has no sequence and holds nothing."""
        self._holder.core = core.index

    def stepped(self, used: int, tokens: float) -> None:
        """A step of so many tokens was made while so many cells were used."""
        core, tax = self._core, self._tax
        hole = core.cells.highest - used
        if tax.blocks(core.cells.highest) <= tax.blocks(used):
            self._paid = 0.0
            return
        self._paid += hole * tokens * tax.rent
        count = min(hole, used)  # what may have to be moved
        if self._paid < tax.moving(count) or self._holder.op or core.index == EXACT or not core.port.shares:
            return
        most = tax.pause
        self._paid -= tax.moving(min(count, most))
        self._holder.op = core.port.operation(self._holder, self._packed)
        core.port.post(Pack(core.index, most, self._holder.op))

    def _packed(self, holder: Holder, op: int, error: str, scores: list[float]) -> None:
        holder.op = 0

    def void(self) -> None:
        """The engine is gone."""
        self._holder.op = 0
        self._paid = 0.0


def idle(core: Owner) -> int:
    """Cells that a step goes over for nobody who runs: those of others, and holes."""
    running: set[Holder] = set()
    for stream in core.leased.values():
        at: Holder | None = stream
        while at is not None:
            running.add(at)
            at = at.base
    return max(0, core.cells.highest - sum(each.own for each in running))
