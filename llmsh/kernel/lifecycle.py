"""The life cycle of a device's engine: started, ready, hung, dead, then started again, given up, or out of memory.

It knows which incarnation lives and who waits for it; what an engine does while it lives is the host's (host.py).
"""

from collections.abc import Callable

from llmsh.abi.lease import Ready, Reply, Request
from llmsh.abi.levels import ERR
from llmsh.kernel.clock import Clock
from llmsh.kernel.dealing import Dealing
from llmsh.kernel.device import Device, Sink
from llmsh.kernel.models import Models
from llmsh.kernel.party import DEAD, OUT, READY, STARTING, Party
from llmsh.kernel.requests import COMING, NEVER, Requests
from llmsh.kernel.stream import Stream
from llmsh.kernel.trial import Trial
from llmsh.kernel.watchdog import Watchdog

STARTS_MAX = 3
"""Engines in a row that die before they are ready, before the device is given up."""


class Lifecycle(Party, Sink):
    """What a host is to its engine while that comes and goes. The state is one of party.py's."""

    _trial: Trial
    _equip: Callable[[], None]
    """An engine has said what it has (`facts`): make what runs on it."""
    _void: Callable[[], list[Stream]]
    """Forget all that a dead engine knew; the streams of the step that it did not finish."""

    def __init__(
        self, device: Device, clock: Clock, dealing: Dealing, memory: Models, say: Callable[[str], None]
    ) -> None:
        super().__init__(device, clock, dealing, memory)
        self.say = say
        self.incarnation = 0
        self.facts = Ready(0, device.name, 0, 0, 0, 0, 0, 0, 0, 1, True, False)
        self.on_ready: list[Callable[[], None]] = []
        self._starts = 0
        self._hung = False
        self._dog = Watchdog(clock, self._patience, self._since, self._bite)
        self._requests = Requests(device, self._engine, self._dog.heard, lambda: memory.want(self))

    # Birth.

    def start(self) -> None:
        """Start an engine unless one is there."""
        if not self.takes and not self.closing:
            self.state, self.keeps = STARTING, False
            self.incarnation += 1
            self._starts += 1
            self._dog.heard()
            self.device.start(self)
            self._dog.watch()

    def _ready(self, facts: Ready) -> None:
        """It can be asked for anything from now on; whoever waited for it goes on."""
        self.state, self.since, self.loaded_at = READY, self.clock.now(), self.clock.now()
        self.failure = ""
        self._starts = 0
        self.facts = facts
        self._equip()
        size = f"{facts.cells} cells, {facts.threads} threads"
        self.say(f"{self.device.name}: engine {self.incarnation} is pid {facts.pid}, {size}")
        self.measured()
        if self.failure:
            return
        self._requests.again()
        if not self.leaving:  # else it was too large, and what is in the file stays there
            self.hibernation.end()
        self.tuning.ready()
        self._answer_waiting()
        for stream in list(self.members):
            stream.client.wake()
        self.plan()

    def _answer_waiting(self) -> None:
        """Whoever waits for the engine hears of it, or that none will come."""
        calls, self.on_ready = self.on_ready, []
        for call in calls:
            call()

    # Death.

    def died(self, incarnation: int, reason: str) -> None:
        """See device.Sink: void every lease, then the next incarnation."""
        if incarnation != self.incarnation or not self.takes:
            return
        was_ready = self.state == READY
        if self._hung:
            self._hung, reason = False, "it hung"
        self.state, self.leaving, left = OUT if self.leaving else DEAD, False, self.leaving
        caught = self._void()
        if self.closing:
            self.ended()
        elif left:
            self._unloaded()
        else:
            self._next(was_ready, caught, reason)

    def _unloaded(self) -> None:
        """It has made room for others; who can run on it wants it back."""
        self.say(f"{self.name}: unloaded, {len(self.members)} processes wait for it or sleep")
        for stream in list(self.members):
            stream.client.wake()
        self.ended()

    def _next(self, was_ready: bool, caught: list[Stream], reason: str) -> None:
        """Another engine in place of one that died."""
        incarnation = self.incarnation
        if was_ready and not self.failure:
            self.say(f"{ERR}{self.device.name}: engine {incarnation} died ({reason}); starting the next")
            self._trial.blame(caught, reason)
        if self.failure or self._starts >= STARTS_MAX:
            self._give_up(self.failure or reason)
        else:
            self.start()
        self.ended()

    def _give_up(self, reason: str) -> None:
        self.failure = reason
        self.say(f"{ERR}{self.device.name}: given up: {reason}")
        for stream in list(self.members):
            stream.client.faulted(reason)
        self._requests.refuse(reason)
        self._answer_waiting()

    def close(self) -> None:
        """End the engine for good: no process needs it."""
        self.closing = True
        self._dog.close()
        self.tuning.close()
        self.device.close()
        self._requests.refuse("unloaded")
        if self.on_ready:
            self.failure = self.failure or "unloaded"
            self._answer_waiting()

    # Hangs.

    def _patience(self) -> float:
        """How long the engine may be silent, 0 while it owes nothing."""
        if self.state == STARTING and not self.closing:
            return self._dog.load_patience(self.device.size)
        if not self.busy or self.closing:
            return 0.0
        return self._dog.step_patience if self._due else self._dog.reply_patience

    def _since(self) -> float:
        working = [core.heard for core in self.cores.values() if core.working]
        return min([self._dog.last, *working])

    def _bite(self, silence: float) -> None:
        self.say(f"{ERR}{self.device.name}: engine {self.incarnation} is silent for {silence:.0f} s: killed")
        self._hung = True
        self.device.kill()

    # Requests: they outlive an engine.

    def request(self, message: Request, reply: Callable[[Reply], None]) -> None:
        """Ask the engine's control thread; `reply` is always called. A death of the engine is no
        answer: the next engine is asked."""
        self.last_used = self.clock.now()
        if not self.busy:
            self._dog.heard()
        self._requests.ask(message, reply)
        self._dog.watch()

    def _engine(self) -> int:
        """The incarnation that can be asked now, or why there is none."""
        if self.closing or (self.state == DEAD and self.failure):
            return NEVER
        return self.incarnation if self.ready and not self.leaving else COMING
