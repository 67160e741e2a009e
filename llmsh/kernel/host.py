"""The host of one device: its engine's incarnations, its cores, the operations under way.

An engine may die or hang at any moment: the host voids what it knew, starts the next one and plans
again; the streams' logs are the truth. It knows streams, not processes.
"""

from collections.abc import Callable

from llmsh.abi.lease import (
    Done,
    Failed,
    FromEngine,
    Halted,
    Ready,
    Reply,
    Request,
    Step,
    ToEngine,
)
from llmsh.kernel.aborts import Aborts
from llmsh.kernel.cells import Cells
from llmsh.kernel.clock import Clock, Timer
from llmsh.kernel.core import Core
from llmsh.kernel.device import Device
from llmsh.kernel.port import Ended
from llmsh.kernel.proc import Panic
from llmsh.kernel.stream import Stream

STARTS_MAX = 3
"""Engines in a row that die before they are ready, before the device is given up."""
SILENCE_S = 10.0
"""A silent engine with work to do is dead after max(this, 20 steps)."""
ASKED_S = 60.0
"""One that has only requests to answer: a large template or schema takes a while."""

LONG = 32
"""Tokens of a prompt not computed yet, from which a step of it may be a long one."""

STARTING, READY, DEAD = "starting", "ready", "dead"
ASKS_MAX = 5
"""Engines that may die while a request is under way before the request is refused."""
LOST = "engine died"
"""What a device answers to requests of an engine that is gone."""
KILLED = ("killed by signal 9", "killed by SIGKILL")
"""Deaths that come from outside: nobody's fault."""


class Host:
    """A device and its cores: core 0 is shared, core 1 takes exact streams, one at a time."""

    def __init__(
        self, device: Device, clock: Clock, *, policy: str, seats: int, quantum: int, say: Callable[[str], None]
    ) -> None:
        self.device = device
        self.clock = clock
        self.policy = policy
        self.seats = seats
        self.quantum = quantum
        self.say = say
        self.strict = False
        """In tests a panic is raised."""
        self.state = DEAD
        self.failure = ""
        self.incarnation = 0
        self.facts = Ready(0, device.name, 0, 0, 0, 0, 0, 0, 0, 1, True, False)
        self.cores: dict[int, Core] = {}
        self.dropped = 0
        self.token_bytes = 1
        self.streams: dict[int, Stream] = {}
        self.members: set[Stream] = set()
        """Every stream of this host, also those that the engine has not seen."""
        self.on_ready: list[Callable[[], None]] = []
        self._lost: list[tuple[Request, Callable[[Reply], None], int]] = []
        """Requests whose engine died: the next one is asked."""
        self.last_used = clock.now()
        self.tokens_in = self.tokens_out = self.steps = 0
        self.closing = False
        self._ops: dict[int, tuple[Stream, Ended]] = {}
        self._aborts = Aborts(device)
        self._next = 0
        self._q = 0
        self._starts = 0
        self._asking = 0
        """Requests without an answer yet."""
        self._heard = clock.now()
        self._slowest = 0.0
        self._hung = False
        self._watch: Timer | None = None

    # Life of the engine.

    def start(self) -> None:
        """Start an engine unless one is there."""
        if self.state == DEAD and not self.closing:
            self.state = STARTING
            self.incarnation += 1
            self._starts += 1
            self.device.start(self)

    def received(self, incarnation: int, message: FromEngine) -> None:
        """See device.Sink. What an older incarnation said is dropped and counted."""
        if incarnation != self.incarnation:
            self.dropped += 1
            return
        self._heard = self.clock.now()
        if isinstance(message, Step):
            self._step(message)
        elif isinstance(message, Halted):
            stream = self.streams.get(message.q)
            if stream is None:
                self.dropped += 1
                return
            core = self.core(stream)
            core.halted(message)
            core.plan()
        elif isinstance(message, Done):
            self._done(message)
        elif isinstance(message, Ready):
            self._ready(message)
        elif isinstance(message, Failed):
            self.failure = message.detail

    def died(self, incarnation: int, reason: str) -> None:
        """See device.Sink: void every lease, then the next incarnation."""
        if incarnation != self.incarnation or self.state == DEAD:
            return
        was_ready = self.state == READY
        if self._hung:
            self._hung, reason = False, "it hung"
        self.state = DEAD
        self._ops.clear()
        self._aborts.void()
        caught = [stream for core in self.cores.values() for stream in core.void()]
        for stream in self.members:
            stream.void()
        self.streams.clear()
        for stream in list(self.members):
            calls, stream.on_quiet = stream.on_quiet, []
            for call in calls:
                call()
        if self.closing:
            return
        if was_ready:
            self.say(f"{self.device.name}: engine {incarnation} died ({reason}); starting the next")
            self._blame(caught, reason)
        if self.failure or self._starts >= STARTS_MAX:
            self._give_up(self.failure or reason)
            return
        self.start()

    def _blame(self, caught: list[Stream], reason: str) -> None:
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
                self.core(stream).suspects.append(stream)

    def _give_up(self, reason: str) -> None:
        self.failure = reason
        self.say(f"{self.device.name}: given up: {reason}")
        for stream in list(self.members):
            stream.client.faulted(reason)
        self._refuse_lost(reason)
        calls, self.on_ready = self.on_ready, []
        for call in calls:
            call()

    def _ready(self, facts: Ready) -> None:
        self.state = READY
        self.failure = ""
        self._starts = 0
        self.facts = facts
        self.token_bytes = max(1, facts.token_bytes)
        self._q = 0
        if not self.cores:
            for index in (0, 1):
                self.cores[index] = self._core(index)
        facts_line = f"pid {facts.pid}, {facts.cells} cells, {facts.threads} threads"
        self.say(f"{self.device.name}: engine {self.incarnation} is {facts_line}")
        lost, self._lost = self._lost, []
        for message, reply, deaths in lost:
            self._ask(message, reply, deaths)
        calls, self.on_ready = self.on_ready, []
        for call in calls:
            call()
        for stream in list(self.members):
            stream.client.wake()
        self.plan()

    def _core(self, index: int) -> Core:
        shared = index == 0
        cells = Cells(self.facts.cells if shared else self.facts.context, self.facts.sequences if shared else 1)
        return Core(index, self, cells, self.policy, self.seats if shared else 1, self.quantum)

    def close(self) -> None:
        """End the engine for good: no process needs it."""
        self.closing = True
        if self._watch is not None:
            self._watch.cancel()
        self.device.close()
        self._refuse_lost("unloaded")
        if self.on_ready:
            # Who waits for the model hears that it will not come.
            self.failure = self.failure or "unloaded"
            calls, self.on_ready = self.on_ready, []
            for call in calls:
                call()

    # Hangs.

    def watch(self) -> None:
        """Look now and then whether an engine with work to do has said something."""
        if self._watch is None and self.busy and not self.closing:
            self._watch = self.clock.call_later(SILENCE_S / 2, self._look)

    def _look(self) -> None:
        self._watch = None
        silence = self.clock.now() - self._heard
        patience = max(SILENCE_S, self._slowest * 20) if self._due else ASKED_S
        if self.state == READY and self.busy and silence > patience:
            self.say(f"{self.device.name}: engine {self.incarnation} is silent for {silence:.0f} s: killed")
            self._hung = True
            self.device.kill()
        self.watch()

    @property
    def busy(self) -> bool:
        """Whether the engine owes us anything."""
        return self._due or self._asking > 0

    @property
    def _due(self) -> bool:
        """Whether a step or the end of an operation is to come."""
        return bool(self._ops) or any(core.leased for core in self.cores.values())

    # Port: the cores' way to the engine.

    @property
    def ready(self) -> bool:
        """See Port."""
        return self.state == READY

    def now(self) -> float:
        """See Port."""
        return self.clock.now()

    def post(self, message: ToEngine) -> None:
        """See Port."""
        if not self.busy:
            self._heard = self.clock.now()
        self.device.post(message)

    def operation(self, stream: Stream, ended: Ended) -> int:
        """See Port."""
        self._next += 1
        self._ops[self._next] = (stream, ended)
        return self._next

    def enter(self, stream: Stream) -> None:
        """See Port."""
        self._q += 1
        stream.q = self._q
        self.streams[stream.q] = stream

    def forget(self, stream: Stream) -> None:
        """See Port."""
        self.streams.pop(stream.q, None)

    def interrupt(self) -> None:
        """See Port. A prompt that is alone is computed in steps that may be longer than STEP_MAX_MS. An
        aborted one is made again from what is wanted then; once a prompt, so that it has an end."""
        leased = [(core, stream) for core in self.cores.values() for stream in core.leased.values()]
        if len(leased) == 1 and not any(core.scoring for core in self.cores.values()):
            core, stream = leased[0]
            if len(stream) - stream.computed > LONG and not stream.hurried:
                stream.hurried = True
                self._aborts.ask(core.index, core.steps + 1, lambda: len(stream) - stream.computed > LONG)

    def panic(self, line: str) -> None:
        """See Port."""
        self.say(f"panic: {line}")
        if self.strict:
            raise Panic(line)

    # For the rest of the kernel.

    def core(self, stream: Stream) -> Core:
        """The core that a stream belongs to."""
        return self.cores[1 if stream.exact else 0]

    def request(self, message: Request, reply: Callable[[Reply], None]) -> None:
        """Ask the engine's control thread; `reply` is always called. A death of the engine is no
        answer: the next engine is asked."""
        self.last_used = self.clock.now()
        self._ask(message, reply, 0)

    def _ask(self, message: Request, reply: Callable[[Reply], None], deaths: int) -> None:
        asked = self.incarnation
        if not self.busy:
            self._heard = self.clock.now()
        self._asking += 1

        def answered(got: Reply) -> None:
            self._asking -= 1
            self._heard = self.clock.now()
            again = got.error == LOST and deaths + 1 < ASKS_MAX
            if not again or self.closing or (self.state == DEAD and self.failure):
                reply(got)
            elif self.state == READY and self.incarnation != asked:
                self._ask(message, reply, deaths + 1)
            else:
                self._lost.append((message, reply, deaths + 1))

        self.device.request(message, answered)
        self.watch()

    def _refuse_lost(self, reason: str) -> None:
        """No engine will come."""
        lost, self._lost = self._lost, []
        for _, reply, _ in lost:
            reply(Reply(0, error=reason))

    def leave(self, stream: Stream) -> None:
        """The stream is gone; a step under way that serves nobody else is aborted."""
        self.members.discard(stream)
        stream.suspect = False
        self.last_used = self.clock.now()
        if not self.cores:
            return
        core = self.core(stream)
        alone = stream.leased and len(core.leased) == 1
        core.drop(stream)
        if alone:
            self._aborts.ask(core.index, core.steps + 1, lambda: any(each is stream for each, _ in self._ops.values()))
        core.plan()

    def plan(self) -> None:
        """Plan all cores."""
        for core in self.cores.values():
            core.plan()
        self.watch()

    def _step(self, step: Step) -> None:
        core = self.cores.get(step.core)
        if core is None:
            self.dropped += 1
            return
        self._slowest = max(step.ms / 1000, self._slowest * 0.99)
        self.steps += 1
        self.tokens_out += len(step.rows)
        self.tokens_in += sum(count for _, count in step.fed)
        core.step(step)
        self._aborts.ended(step)
        core.plan()

    def _done(self, message: Done) -> None:
        entry = self._ops.pop(message.op, None)
        if entry is None:
            self.dropped += 1
            return
        stream, ended = entry
        ended(stream, message.op, message.error, message.scores)
        self.core(stream).plan()

    def check(self) -> list[str]:
        """Faults in the books of all cores."""
        return [f"{self.device.name}: {fault}" for core in self.cores.values() for fault in core.check()]
