"""Fits a device to the machine: sets how many cores work, with how many threads, on how many sequences a step,
by the rates and by what can run.

What is best is configuration.py's to say, what is measured when measuring.py's, how streams go to fewer
cores balance.py's. It knows streams only by number.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from llmsh.abi.lease import EXACT, Done, Step, Threads, ToEngine
from llmsh.kernel.calibration import Calibration
from llmsh.kernel.clock import Timer
from llmsh.kernel.configuration import Configuration, Front, Limits, better
from llmsh.kernel.insistence import Insistence
from llmsh.kernel.measuring import Measuring
from llmsh.kernel.meter import Meter
from llmsh.kernel.rates import INPUT_COST, Rates
from llmsh.kernel.renting import Renting
from llmsh.kernel.tax import RENT_MS

__all__ = ["INPUT_COST", "Shelf", "Tuning"]

if TYPE_CHECKING:
    from llmsh.kernel.balance import Balance
    from llmsh.kernel.core import Core
    from llmsh.kernel.host import Host

SEATS = 16
"""Sequences in a step of a core, when neither the user nor a table says."""
REVIEW_S = 0.25
"""How often the choice is looked at while it runs, and how long a number of cores is kept at least."""
GAP_S = 0.5
"""The wall clock went on by so much more than ours: the machine slept."""
SETTLE_S = 0.03
"""After a change of how many can run: many come, or end, at once."""
CONFIRMED = 4
"""Reviews in a row that must find something better when nothing has changed but the rates."""
SAMPLED = 64
"""Streams that are asked how many cells they need."""
INPUT_LEAST = 16
"""Tokens of a step of input that says something about input."""


class Shelf(Protocol):
    """Where tables are kept, by machine and model."""

    def find(self, model: str) -> Rates | None:
        """The table of a model on this machine, as it was last kept."""

    def keep(self, model: str, rates: Rates) -> None:
        """Write a table down."""


class Tuning:
    """Of one device. Without `shelf` nothing is measured, and everything stays as the engine has it.

    `peers`: those of all devices of the machine, which share its CPUs."""

    def __init__(
        self,
        model: str = "",
        *,
        shelf: Shelf | None = None,
        peers: Callable[[], "Iterable[Tuning]"] = tuple,
        cores: int = 0,
        threads: int = 0,
        seats: int = 0,
    ) -> None:
        self.rates = Rates()
        self.seats = seats or SEATS
        """Of each core, before anything is known; later those who compute input may be as many."""
        self.configuration: Configuration | None = None
        self.changes = 0
        """How often another configuration was chosen."""
        self._chosen_for = 0
        """How many could run when the choice was last looked at and anybody could."""
        self._model = model
        self._shelf = shelf
        self._peers = peers
        self._fixed = (cores, threads, seats)
        self.measures: Measuring | None = None
        self._kept = 0
        self._runnable = 0
        self._fronts = Front()
        """The two at the last review."""
        self._wins = 0
        """Reviews in a row that found something better."""
        self._timer: Timer | None = None
        self._reviewed = self._resized = -1e9
        self._skew = 0.0

    def attach(self, host: "Host", balance: "Balance[Core]", watch: Callable[[], None]) -> None:
        """The device that this is for; `watch` is called when it owes something."""
        self._host = host
        self._balance = balance
        self._watch = watch
        self.meter = Meter(host)
        self.insistence = Insistence(host.name, host.clock, self._fronts_of_all, host.dealing.look)
        self._skew = host.clock.wall() - host.clock.now()

    @property
    def measuring(self) -> bool:
        """Whether a slice is under way."""
        return self.measures is not None and self.measures.busy

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to measure; what takes too long stays unknown."""
        return self.measures is not None and self.measures.calibration.complete and not self.measures.renting.wanted

    @property
    def limits(self) -> Limits:
        """What there is."""
        facts, (cores, threads, seats) = self._host.facts, self._fixed
        return Limits(facts.cpus, facts.cores, min(facts.sequences, 64), cores, threads, seats)

    @property
    def progress(self) -> tuple[int, int]:
        """Points measured, of how many."""
        return self.measures.calibration.progress if self.measures is not None else (0, 0)

    def posted(self, message: ToEngine) -> None:
        """A message goes to the engine."""
        self.meter.posted(message)

    # The engine's life.

    def ready(self) -> None:
        """An engine is there, and knows nothing of what the last one was told."""
        self.configuration = None
        self._runnable = 0
        if self._shelf is None:
            return
        self.insistence.end()
        if self.measures is None:
            self.rates = self._shelf.find(self._model) or Rates(self._host.clock.wall())
            self._kept = len(self.rates.ms)
        else:
            self.measures.stop()
        calibration = Calibration(self.rates, self.limits, self._host.now())
        renting = Renting(self.rates, self._host.facts.cells if self._host.facts.share else 0, calibration.threads)
        self.measures = Measuring(self._host, calibration, self._others, self._watch, self._learnt, renting)
        self.insistence.begin(self.measures)
        self._learnt()
        self.measures.soon()

    @property
    def foreground(self) -> int:
        """What of the device is in the foreground, see dealing.Party."""
        return self._host.front

    def _fronts_of_all(self) -> list[int]:
        return [self.foreground, *(each.foreground for each in self._peers() if each is not self)]

    def _others(self) -> list[Measuring]:
        return [each.measures for each in self._peers() if each.measures is not None and each is not self]

    def void(self) -> None:
        """The engine is gone."""
        if self.measures is not None:
            self.measures.void()
        self.insistence.end()

    def close(self) -> None:
        """The device is given up: what was measured is kept."""
        if self.measures is not None:
            self.measures.stop()
        self._keep()

    def _keep(self) -> None:
        if self._shelf is not None and (self.rates.improved or len(self.rates.ms) > self._kept):
            self._kept, self.rates.improved = len(self.rates.ms), False
            self._shelf.keep(self._model, self.rates)

    # Measuring.

    def interrupt(self) -> None:
        """Somebody wants this device."""
        for tuning in (self, *self._peers()):
            if tuning.measures is not None and not tuning.measures.turned:
                tuning.measures.give_way()

    def _defer(self) -> None:
        """Who is in the foreground does not wait for the end of a turn of measuring."""
        for tuning in (self, *self._peers()):
            if tuning.measures is not None and tuning.measures.turned and self._host.front:
                tuning.measures.give_way()

    def done(self, message: Done) -> bool:
        """An operation has ended; whether it was one of measuring."""
        if message.op < 0 and self.measures is not None:
            self.measures.done(message)
            self._host.dealing.look()
        return message.op < 0

    def _learnt(self) -> None:
        self._host.input_cost = self.rates.input_cost(self._host.now())
        self._host.swap.tax.rent = RENT_MS if self.rates.rent is None else self.rates.rent
        if self.measures is not None and self.measures.calibration.complete:
            self.insistence.end()
        if self.complete:
            self._keep()

    # What running shows.

    def step(self, step: Step) -> None:
        """A step was made and accounted."""
        if self.measures is not None and self.measures.busy:
            self.measures.step(step)
            return
        clock = self._host.clock
        skew = clock.wall() - clock.now()
        slept, self._skew = skew - self._skew > GAP_S, skew
        if step.core == EXACT or not step.busy or slept or not self.rates.ms:
            return
        fed = sum(count for _, count in step.fed)
        if not fed and step.rows:
            self.rates.saw(step.busy, step.threads, len(step.rows), 0, step.ms, clock.now())
        elif fed >= INPUT_LEAST:
            self.rates.saw(step.busy, step.threads, 0, fed + len(step.rows), step.ms, clock.now())
        if clock.now() - self._reviewed > REVIEW_S:
            self._review()
            self._host.input_cost = self.rates.input_cost(clock.now())

    # The choice.

    def input_ms(self, tokens: int) -> float:
        """See Port."""
        chosen = self.configuration
        return self.rates.input_ms(chosen.cores, chosen.threads_batch, tokens, self._host.now()) if chosen else 0.0

    def changed(self) -> None:
        """A stream became runnable, or stopped being so."""
        self._defer()
        if not self.rates.ms:
            return
        if self.configuration is None or not self._runnable:
            self._review()
        elif self._timer is None and (self._count(), self.front) != (self._runnable, self._fronts):
            self._timer = self._host.clock.call_later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._timer = None
        if self._host.ready and (self._count(), self.front) != (self._runnable, self._fronts):
            self._review()

    def _shared(self) -> "list[Core]":
        return [core for core in self._host.cores.values() if core.index != EXACT]

    def _count(self) -> int:
        """Streams that can run, but for those that wait for what another computes for all; exact ones take turns on
        a thread of the others."""
        exact = self._host.cores.get(EXACT)
        here = sum(len(core.queue) - len(core.sharing.waiting) for core in self._shared())
        return here + bool(exact is not None and exact.queue)

    @property
    def front(self) -> Front:
        """Who is in the foreground of any of the cores, and the time that is kept between their tokens."""
        return Front(sum(len(core.queue.front) for core in self._shared()), self._host.latency_ms)

    def _least(self, runnable: int) -> int:
        """Cores whose cells those who run need, by the first of them."""
        some = [stream for core in self._shared() for stream in islice(core.queue.streams.values(), SAMPLED)]
        need = sum(max(len(stream), stream.held) + self._host.quantum for stream in some) / max(1, len(some))
        return -(-int(need * runnable) // max(1, self._host.facts.cells))

    def _review(self) -> None:
        """Is there a better configuration for those who can run now?"""
        now, runnable, front = self._host.now(), self._count(), self.front
        same = runnable == self._runnable and front == self._fronts
        self._reviewed, self._runnable, self._fronts = now, runnable, front
        if not runnable:
            return
        self._chosen_for = runnable
        found = better(self.rates, self.limits, self.configuration, runnable, now, self._least(runnable), front)
        old = self.configuration
        self._wins = self._wins + 1 if found is not None and same else 0
        if found is None or (old is not None and old.cores != found.cores and now - self._resized < REVIEW_S):
            return
        if same and old is not None and self._wins < CONFIRMED:
            return
        if old is not None and old.cores != found.cores:
            self._resized = now
        self._change(found)

    def _change(self, found: Configuration) -> None:
        old, self.configuration = self.configuration, found
        self._wins = 0
        self.changes += 1
        self._balance.width = found.cores
        if old is None or old[:3] != found[:3]:
            self._host.post(Threads(found.cores, found.threads, found.threads_batch))
        for core in self._shared():
            core.seating.set(found.seats, self.seats)
            core.unseat()
        # Who changed is planned by who told of it; the others' seats may be more now.
        self._host.clock.call_later(0, self._host.plan)
        self._balance.changed()

    def record(self) -> dict[str, Any]:
        """See abi.records.RATES."""
        now = self._host.now()
        measured, wanted = self.progress
        return {
            "cpus": self._host.facts.cpus,
            "made": self.rates.made,
            "measured": measured,
            "wanted": wanted,
            "complete": self.complete and not self.measuring,
            "input_cost": round(self._host.input_cost, 4),
            "rent": self.rates.rent,
            "changes": self.changes,
            "chosen": self.configuration._asdict() if self.configuration is not None else None,
            "runnable": self._chosen_for if self.configuration is not None else 0,
            "points": [
                point._asdict()
                | {"ms": round(ms, 3), "factor": round(self.rates.factor(point, now), 3)}
                | {"doubtful": point in self.rates.doubtful}
                for point, ms in sorted(self.rates.ms.items())
            ],
        }
