"""Deals the machine among the models that have something to do: turns of a tenth of a second, by weight.

Each turn has the whole machine. So an engine keeps the threads that it was measured with, there are never more
threads than CPUs, and shares need not be whole CPUs: what is shared is time, by what those who can run deserve
(deserts.py). A model's clock advances by its turns, divided by its weight; the one that is furthest behind is next.
It knows no stream and no engine, only hosts that can be asked to pause.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from llmsh.kernel.clock import Clock
from llmsh.kernel.deserts import desert
from llmsh.kernel.sched import Ledger, Task

TURN_S = 0.1
"""A turn. A change costs the engines about a millisecond."""
PLANNED = 0.9
"""The part of the foreground's target that is planned for, as in pace.py."""
LEAST_S = 0.02
"""Nobody loses its turn sooner to one that wakes."""
EARLY = 0.8
"""Of the time that anybody waits at most."""


class Turn:
    """A host's account."""

    __slots__ = ("clock", "since", "wants", "weight", "woke")

    def __init__(self) -> None:
        self.clock = 0.0
        """Seconds it had, divided by its weight."""
        self.weight = 1.0
        self.wants = False
        self.woke = False
        """It began to want since its last turn."""
        self.since = 0.0
        """The end of its last turn, or when it began to want one."""


class Party(Protocol):
    """Who takes turns: a host."""

    name: str
    turn: Turn
    ledger: Ledger

    @property
    def wants(self) -> bool:
        """Whether something can run on it."""

    @property
    def works(self) -> bool:
        """Whether its engine owes steps."""

    @property
    def tasks(self) -> Collection[Task]:
        """Those of all that can run on it."""

    @property
    def front(self) -> int:
        """2: a person has just typed a line to it; 1: it has something in the foreground; else 0."""

    @property
    def step_s(self) -> float:
        """Seconds that a step of it takes, 0 while that is not known."""

    def pause(self) -> None:
        """Take all leases back."""

    def plan(self) -> None:
        """Grant leases."""


def first(parties: "Collection[Party]", now: float, patience: float, fronts: bool = False) -> "Party":
    """Whose turn it is: who was typed to, who has waited too long, with `fronts` who of those that have something
    in the foreground has waited longest, then who is furthest behind."""

    def key(each: "Party") -> tuple[float, ...]:
        turn, front = each.turn, each.front
        urgent = (front < 2, now - turn.since < EARLY * patience)
        return (*urgent, 0, turn.since) if fronts and front else (*urgent, 1, turn.clock)

    return min(parties, key=key)


class Dealing:
    """Of one machine. Where only one wants anything, nothing here is in its way."""

    def __init__(
        self,
        clock: Clock,
        parties: "Callable[[], Collection[Party]]" = tuple,
        patience: float = 30.0,
        latency_ms: float = 0.0,
    ) -> None:
        self._clock = clock
        self._parties = parties
        self._patience = patience
        self._latency = latency_ms / 1000
        self.holder: Party | None = None
        """Whose turn it is, while more than one wants one."""
        self.turns = 0
        """How often the holder was another than before."""
        self._shared = False
        self._ending = False
        self._began = self._charged = 0.0
        self._floor = 0.0

    def may(self, party: Party) -> bool:
        """Whether it may grant leases now."""
        return not self._shared or (party is self.holder and not self._ending)

    def share(self, party: Party, more: Sequence[Task] = ()) -> float:
        """The part of the machine that a party has among those who want it now, if it had these tasks too."""
        machine = [[*party.tasks, *more], *(each.tasks for each in self._parties() if each.wants and each is not party)]
        deserved = [desert(each, [other for other in machine if other is not each])[0] for each in machine]
        return deserved[0] / sum(deserved)

    def look(self) -> None:
        """Something became runnable or stopped being so, or a step or a lease has ended."""
        parties = self._parties()
        if len(parties) < 2 and not self._shared:
            return
        now = self._clock.now()
        self._charge(now)
        wanting = [each for each in parties if each.wants]
        self._note(parties, now)
        active = [each for each in parties if each.works or each.turn.wants]
        if len(active) < 2 or not wanting:
            self._alone(active)
            return
        if not self._shared:
            self._shared = True
            self.holder = next((each for each in active if each.works), None)
            self._began = self._charged = now
            if self.holder is not None:
                self._weigh(self.holder)
        if self.holder not in active:
            self.holder = None
        self._pass(wanting, active, now)

    def _pass(self, wanting: "list[Party]", active: "list[Party]", now: float) -> None:
        """Whoever's turn it is not pauses; the turn changes once nothing runs any more."""
        holder = self.holder
        best = self._best(wanting, now)
        if holder is None or not self._goes_on(holder, best, wanting, now):
            self._ending = True
        for each in active:
            if each.works and (self._ending or each is not holder):
                each.pause()
        if self._ending and not any(each.works for each in active):
            self._give(best, now)

    def _best(self, wanting: "list[Party]", now: float) -> Party:
        """Who is to have the next turn; the holder, if it may go on: no longer than a foreground elsewhere can wait."""
        holder = self.holder
        if not self._latency:
            return first(wanting, now, self._patience)
        others = [each for each in wanting if each is not holder]
        waits = holder is not None and holder.front == 1 and any(each.front for each in others)
        if holder is not None and waits and now - self._began >= self._most(holder, wanting):
            return first(others, now, self._patience)
        return first(wanting, now, self._patience, fronts=holder is None or not holder.front)

    def _goes_on(self, holder: Party, best: Party, wanting: "list[Party]", now: float) -> bool:
        """Whether the holder's turn goes on."""
        if self._ending or not holder.turn.wants:
            return not self._ending and holder.works
        ran = now - self._began
        if best is holder:
            if ran >= TURN_S:  # its next turn
                self._began = holder.turn.since = now
                self._weigh(holder)
            return True
        if best.front > max(1, holder.front):
            return False
        if best.turn.woke and ran >= LEAST_S:
            return False
        return ran < self._most(holder, wanting)

    def _most(self, holder: Party, wanting: "list[Party]") -> float:
        """How long its turn may be. Who is in the foreground elsewhere waits for it, for the two steps that it may
        make before it hears that its turn is over, and for the one that then makes a token."""
        fronts = sum(each.front > 0 for each in wanting)
        others = [each.step_s for each in wanting if each.front and each is not holder]
        if not others or not self._latency:
            return TURN_S
        room = PLANNED * self._latency / max(1, min(fronts, len(wanting) - 1)) - 2 * holder.step_s - max(others)
        return min(TURN_S, max(LEAST_S, room))

    def _give(self, party: Party, now: float) -> None:
        self.turns += party is not self.holder
        if self.holder is not None:
            self.holder.turn.since = now
        self.holder, self._ending = party, False
        self._began = self._charged = party.turn.since = now
        party.turn.woke = False
        self._weigh(party)
        if party.front:
            self._forgive(party)
        self._clock.call_later(0, party.plan)

    def _forgive(self, party: Party) -> None:
        """What others are given less than they deserve, for the sake of the foreground, they do not save up."""
        least = party.turn.clock - TURN_S / party.turn.weight
        for each in self._parties():
            each.turn.clock = max(each.turn.clock, least)

    def _weigh(self, party: Party) -> None:
        """What it deserves, and what a session has of it counts against its part of what the session deserves."""
        others = (each.tasks for each in self._parties() if each is not party)
        party.turn.weight, party.ledger.parts = desert(party.tasks, others)

    def _charge(self, now: float) -> None:
        if self.holder is not None and self._shared:
            self.holder.turn.clock += (now - self._charged) / self.holder.turn.weight
        self._charged = now

    def _note(self, parties: "Collection[Party]", now: float) -> None:
        """Who begins to want a turn has saved up no more than one, and owes no more."""
        clocks = [each.turn.clock for each in parties if each.turn.wants]
        self._floor = max(self._floor, min(clocks, default=0.0))
        for each in parties:
            wants = each.wants
            if wants and not each.turn.wants:
                self._weigh(each)
                most = TURN_S / each.turn.weight
                each.turn.clock = max(self._floor - most, min(each.turn.clock, self._floor + most))
                each.turn.woke, each.turn.since = True, now
            each.turn.wants = wants

    def check(self) -> list[str]:
        """Faults: two at a time."""
        works = [each.name for each in self._parties() if each.works]
        return [f"{' and '.join(works)} step at the same time"] if len(works) > 1 else []

    def _alone(self, active: "list[Party]") -> None:
        """Nobody need take turns."""
        if self._shared:
            self._shared = self._ending = False
            self.holder = None
            for each in self._parties():
                each.ledger.parts = {}
            for each in active:
                self._clock.call_later(0, each.plan)
