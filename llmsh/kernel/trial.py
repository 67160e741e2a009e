"""Who may have killed an engine is tried alone: one core, one sequence, one token.

So who kills the engine again fails alone, and nobody else does. It knows cores by what they have to try.
"""

from collections.abc import Mapping
from typing import Protocol

from llmsh.kernel.stream import Stream

KILLED = ("killed by signal 9", "killed by SIGKILL")
"""Deaths that come from outside: nobody's fault, as one is for want of memory, which has another name."""


class Core(Protocol):
    """What a trial asks of a core."""

    suspects: list[Stream]

    @property
    def tries(self) -> bool:
        """Whether a suspect of this core is to be tried, alone."""


class Trial:
    """Of one device's streams."""

    def __init__(self, cores: Mapping[int, Core]) -> None:
        self.on = False
        """Whether some stream may have killed the engine."""
        self._cores = cores

    def blame(self, caught: list[Stream], reason: str) -> None:
        """A stream that was alone, as a suspect, in the step that killed the engine again fails.

        A KILL from outside is nobody's fault."""
        if reason in KILLED:
            return
        for stream in caught:
            if stream.suspect and len(caught) == 1:
                stream.suspect = False
                stream.client.faulted(f"the engine died of it twice ({reason})")
            elif not stream.suspect:
                stream.suspect = True
                self._cores[stream.core].suspects.append(stream)
                self.on = True

    def yields(self, core: int) -> bool:
        """Whether another core tries a suspect: this one grants nothing meanwhile."""
        first = next((index for index, each in self._cores.items() if each.tries), core) if self.on else core
        return first != core

    def look(self) -> bool:
        """Whether there was a trial until now: the other cores hang on its end."""
        if not self.on:
            return False
        self.on = any(each.tries for each in self._cores.values())
        return True
