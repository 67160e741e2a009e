"""How much was swapped: counters that only grow, for vmstat. What images hold counts, not what their
owners share with others."""

from typing import Protocol

from llmsh.abi.lease import Load, Move, Save, ToEngine
from llmsh.kernel.holder import Holder


class Swap(Protocol):
    """What is asked of the images."""

    def has(self, holder: Holder) -> bool:
        """Whether there is an image of it."""


class Owner(Protocol):
    """The host."""

    holders: dict[int, Holder]

    @property
    def swap(self) -> Swap:
        """Its images."""


class Meter:
    """Of one device, over all its engines."""

    def __init__(self, host: Owner) -> None:
        self.swapped_in = self.swapped_out = 0
        """Cells."""
        self._host = host

    def posted(self, message: ToEngine) -> None:
        """A message goes to the engine."""
        if isinstance(message, Load):
            self.swapped_in += self._cells(message.q)
        elif isinstance(message, Save | Move):
            self.swapped_out += self._cells(message.q)

    def _cells(self, q: int) -> int:
        """Of the image that is being made, or put back; one that only goes to another core is neither."""
        holder = self._host.holders.get(q)
        return holder.image if holder is not None and not self._host.swap.has(holder) else 0
