"""How much was swapped: counters that only grow, for vmstat. It knows messages, no core and no stream."""

from collections.abc import Callable

from llmsh.abi.lease import Load, Move, Save, ToEngine


class Meter:
    """Of one device, over all its engines. `cells_of` says how many cells' worth of tokens the
    image of a sequence has."""

    def __init__(self, cells_of: Callable[[int], int]) -> None:
        self.swapped_in = self.swapped_out = 0
        """Cells."""
        self._cells_of = cells_of

    def posted(self, message: ToEngine) -> None:
        """A message goes to the engine."""
        if isinstance(message, Load):
            self.swapped_in += self._cells_of(message.q)
        elif isinstance(message, Save | Move):
            self.swapped_out += self._cells_of(message.q)
