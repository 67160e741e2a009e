"""Units as processes have them: all that run the same agent share one, as programs share their text segment.

A unit's file is read anew for each process, since somebody may have changed it. Source: a.out's sticky text.
"""

from collections.abc import Callable
from weakref import WeakValueDictionary

from llmsh.abi.unit import Unit


class Texts:
    """`find` reads a unit by name. Raises what it raises."""

    def __init__(self, find: Callable[[str], Unit]) -> None:
        self._find = find
        self._kept: WeakValueDictionary[str, Unit] = WeakValueDictionary()
        """By name, the one that was read last, as long as a process has it."""

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, name: str) -> Unit:
        """The unit of this name as it is now."""
        unit = self._find(name)
        kept = self._kept.get(name)
        if kept == unit:
            return kept
        self._kept[name] = unit
        return unit
