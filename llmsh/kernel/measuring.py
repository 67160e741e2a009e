"""Slices of measuring on one device: when nobody wants anything, and given up at once when somebody does; or in a
turn of the machine that is dealt for it (insistence.py), and given up for the foreground.

What is measured is calibration.py's and renting.py's to say. It knows cores by number, and no stream.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from llmsh.abi.lease import Done, Measure, Step
from llmsh.kernel.calibration import SLICE_MS, Calibration
from llmsh.kernel.clock import Timer
from llmsh.kernel.rates import Point
from llmsh.kernel.renting import SLICE_MS as RENT_MS
from llmsh.kernel.renting import Renting

if TYPE_CHECKING:
    from llmsh.kernel.host import Host

QUIET_S = 0.5
"""How long nobody must have wanted anything before something is measured."""


class Measuring:
    """Fills a table. `peers`: the same of the machine's other devices, which share its CPUs; `watch` is
    called when the engine owes something, `learnt` when the table has changed."""

    def __init__(
        self,
        host: "Host",
        calibration: Calibration,
        peers: Callable[[], "Iterable[Measuring]"],
        watch: Callable[[], None],
        learnt: Callable[[], None],
        renting: Renting,
    ) -> None:
        self.calibration = calibration
        self.renting = renting
        self._host = host
        self._peers = peers
        self._watch = watch
        self._learnt = learnt
        self._point: Point | None = None
        self._rents = False
        """Whether the slice under way is one of renting's."""
        self._owed: dict[int, list[float]] = {}
        """Operations of the slice under way: what has come of each."""
        self._error = ""
        self._share = 1.0
        self._yielding = False
        self.turned = False
        """Whether the slice under way has a turn of the machine."""
        self._op = 0
        self._timer: Timer | None = None

    @property
    def busy(self) -> bool:
        """Whether a slice is under way."""
        return bool(self._owed)

    @property
    def at_rest(self) -> bool:
        """Whether nobody wants this device: nothing runs or can run on it, nothing is asked of it."""
        host = self._host
        if host.state == "starting" or self.busy:
            return False
        return not host.busy and not any(len(core.queue) for core in host.cores.values())

    def _quiet(self) -> bool:
        return self.at_rest and all(peer.at_rest for peer in self._peers())

    def soon(self) -> None:
        """Measure what there is to measure, once it is quiet."""
        wait = 0.0 if self.renting.wanted else self.calibration.wait(self._host.now())
        if self._timer is None and wait is not None:
            self._timer = self._host.clock.call_later(max(QUIET_S, wait), self._look)

    def stop(self) -> None:
        """The device is given up."""
        if self._timer is not None:
            self._timer.cancel()

    def void(self) -> None:
        """The engine is gone, and what it was measuring."""
        self._owed.clear()
        self._point, self.turned = None, False

    def _look(self) -> None:
        """Has nobody wanted anything for a while?"""
        self._timer = None
        if self._host.ready and not self._host.closing:
            self._next()

    def _next(self) -> None:
        """Begin the next slice, or wait until it is quiet."""
        point = self.calibration.next(self._host.now())
        self._rents = point is None and self.renting.wanted
        if self._rents:
            point = self.renting.point
        if self._host.closing:
            return
        if point is None or not self._quiet():
            self.soon()
            return
        self._begin(point)

    def turn(self) -> bool:
        """See insistence.Measures."""
        point = self.calibration.next(self._host.now())
        if point is None or self._host.closing or not self._host.ready or self._host.busy:
            return False
        self._rents, self.turned = False, True
        self._begin(point)
        return True

    def _begin(self, point: Point) -> None:
        """A slice, on as many cores as it is about."""
        self._point, self._error, self._share, self._yielding = point, "", 1.0, False
        for core in range(point.cores):
            self._op -= 1  # streams' operations are above 0
            ms, fill = (RENT_MS, self.renting.fill) if self._rents else (SLICE_MS, 0)
            order = Measure(core, point.cores, point.threads, point.batch, point.tokens, ms, self._op, fill)
            self._host.post(order)
            self._owed[self._op] = []
        self._watch()

    def give_way(self) -> None:
        """A slice under way ends now."""
        if self._owed and not self._yielding:
            self._yielding = True
            for core in list(self._host.cores.values())[: len(self._owed)]:
                self._host.device.abort(core.index, core.steps + 1)

    def step(self, step: Step) -> None:
        """A step has ended while a slice is under way; maybe the abort came too late for it."""
        if self._yielding and not (step.rows or step.fed):
            self._host.device.abort(step.core, step.no + 1)

    def done(self, message: Done) -> None:
        """An operation of a slice has ended."""
        if message.op not in self._owed or self._point is None:
            return
        self._owed[message.op] = message.scores or [0.0]
        self._error = self._error or message.error
        self._share = min(self._share, message.share)
        if all(self._owed.values()):
            took, point = [*self._owed.values()], self._point
            self._owed.clear()
            turned, self.turned = self.turned, False
            if self._rents:
                self.renting.ended(took[0], self._error, self._share)
            else:
                self.calibration.ended(point, took, self._error, self._host.now(), self._share)
            self._learnt()
            if self._error or turned:
                self.soon()  # not at once: the next may fail as fast, and a turn is one slice
            else:
                self._next()
