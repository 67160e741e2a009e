"""A table that nobody leaves the time for: it takes turns of the machine beside the models, as one of them
(dealing.Party), until it is made.

A job of ten hours that begins on a new machine would run for ten hours as nobody has measured that it should. It
gives up half of less than a minute for that; where somebody is in the foreground, nothing is insisted on.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from llmsh.kernel.clock import Clock
from llmsh.kernel.dealing import Turn
from llmsh.kernel.sched import Ledger, Task

PATIENCE_S = 10.0
"""How long an engine is there until its table is insisted on."""
RETRY_S = 1.0
"""After a turn that could not be used."""
SESSION = "llmshd"


class Measures(Protocol):
    """Who measures."""

    @property
    def busy(self) -> bool:
        """Whether a slice is under way."""

    def turn(self) -> bool:
        """Begin a slice, if the engine owes nothing; whether one began."""


class Insistence:
    """Of one device. `fronts`: what each model has in the foreground, see dealing.Party; `look` deals the machine
    anew."""

    front = 0
    step_s = 0.0

    def __init__(self, name: str, clock: Clock, fronts: Callable[[], Iterable[int]], look: Callable[[], None]) -> None:
        self.name = f"the table of {name}"
        self.turn, self.ledger = Turn(), Ledger()
        self.tasks = (Task(0, SESSION),)
        self._clock = clock
        self._fronts = fronts
        self._look = look
        self._measures: Measures | None = None
        self._from = 0.0
        """When it may want its next turn."""

    def begin(self, measures: Measures) -> None:
        """An engine is there, and not all of it is known."""
        self._measures, self._from = measures, self._clock.now() + PATIENCE_S

    def end(self) -> None:
        """All is known, or the engine is gone."""
        self._measures = None

    @property
    def wants(self) -> bool:
        """See dealing.Party."""
        return self._measures is not None and self._clock.now() >= self._from and not any(self._fronts())

    @property
    def works(self) -> bool:
        """See dealing.Party."""
        return self._measures is not None and self._measures.busy

    @property
    def involved(self) -> bool:
        """Whether the machine is to be dealt with regard to it."""
        return self.turn.wants or self.works or self.wants

    def pause(self) -> None:
        """See dealing.Party. A slice ends by itself, and one that is cut off says nothing."""

    def plan(self) -> None:
        """See dealing.Party: it has a turn. Where the engine has something to end first, others have it."""
        if self._measures is None or not self._measures.turn():
            self._from = self._clock.now() + RETRY_S
            self._clock.call_later(0, self._look)
