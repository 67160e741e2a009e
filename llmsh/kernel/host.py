"""The host of one device: its engine's incarnations, its cores, the operations under way.

An engine may die or hang at any moment: the host voids what it knew, starts the next one and plans
again; the streams' logs are the truth. It knows streams, not processes.
"""

from collections.abc import Callable
from math import inf

from llmsh.abi.lease import EXACT, Done, Failed, FromEngine, Halted, Ready, Reply, Request, Step, ToEngine
from llmsh.abi.levels import CRIT, ERR
from llmsh.kernel.aborts import Aborts
from llmsh.kernel.balance import Balance
from llmsh.kernel.cells import Cells
from llmsh.kernel.clock import Clock
from llmsh.kernel.core import Core
from llmsh.kernel.dealing import Dealing
from llmsh.kernel.device import Device
from llmsh.kernel.holder import Holder
from llmsh.kernel.migration import migrate, movable
from llmsh.kernel.models import Models
from llmsh.kernel.operations import Operations
from llmsh.kernel.pair import Pair
from llmsh.kernel.party import DEAD, OUT, READY, STARTING, Party
from llmsh.kernel.port import Ended
from llmsh.kernel.proc import Panic
from llmsh.kernel.requests import COMING, NEVER, Requests
from llmsh.kernel.sched import Ledger
from llmsh.kernel.stream import Stream
from llmsh.kernel.swap import Limits, Swap
from llmsh.kernel.trial import Trial
from llmsh.kernel.tuning import INPUT_COST, Tuning
from llmsh.kernel.watchdog import Watchdog

STARTS_MAX = 3
"""Engines in a row that die before they are ready, before the device is given up."""


class Host(Party):
    """A device and its cores: those that streams are dealt out to, and EXACT, which takes one at a time."""

    def __init__(
        self,
        device: Device,
        clock: Clock,
        *,
        policy: str,
        quantum: int,
        say: Callable[[str], None],
        tuning: Tuning,
        dealing: Dealing,
        memory: Models,
    ) -> None:
        super().__init__(device, clock, dealing, memory)
        self.policy = policy
        self.quantum = quantum
        self.say = say
        self.strict = False
        """In tests a panic is raised."""
        self.incarnation = 0
        self.facts = Ready(0, device.name, 0, 0, 0, 0, 0, 0, 0, 1, True, False)
        self.cores: dict[int, Core] = {}
        self.dropped, self.token_bytes, self.latency_ms = 0, 1, 0.0
        self.streams: dict[int, Stream] = {}
        self.holders: dict[int, Holder] = {}
        self.members = set()
        """Every stream of this host, also those that the engine has not seen."""
        self.on_ready: list[Callable[[], None]] = []
        self.tokens_in = self.tokens_out = self.steps = 0
        self.input_cost = INPUT_COST
        self.ledger = Ledger()
        self.tuning = tuning
        self._ops = Operations()
        self.swap = Swap(self, self.cores, Limits(), self.plan)
        self._aborts = Aborts(device)
        self._q = self._starts = 0
        self.closing = self._hung = False
        self._dog = Watchdog(clock, self._patience, self._since, self._bite)
        self._requests = Requests(device, self._engine, self._dog.heard, lambda: memory.want(self))
        self._balance: Balance[Core] = Balance(clock, movable, self._send)
        self.tuning.attach(self, self._balance, self._dog.watch)
        self._trial = Trial(self.cores)
        self._pair = Pair(self.cores)

    # Life of the engine.

    def start(self) -> None:
        """Start an engine unless one is there."""
        if not self.takes and not self.closing:
            self.state = STARTING
            self.incarnation += 1
            self._starts += 1
            self.device.start(self)

    def received(self, incarnation: int, message: FromEngine) -> None:
        """See device.Sink. What an older incarnation said is dropped and counted."""
        if incarnation != self.incarnation:
            self.dropped += 1
            return
        self._dog.heard()
        if isinstance(message, Step):
            self._step(message)
        elif isinstance(message, Halted):
            stream = self.streams.get(message.q)
            if stream is None:
                self.dropped += 1
                return
            core = self.core(stream)
            core.halted(message)
            self._plan(core)
        elif isinstance(message, Done):
            self._done(message)
        elif isinstance(message, Ready):
            self._ready(message)
        elif isinstance(message, Failed):
            self.failure = message.detail

    def died(self, incarnation: int, reason: str) -> None:
        """See device.Sink: void every lease, then the next incarnation."""
        if incarnation != self.incarnation or not self.takes:
            return
        was_ready = self.state == READY
        if self._hung:
            self._hung, reason = False, "it hung"
        self.state, self.leaving, left = OUT if self.leaving else DEAD, False, self.leaving
        self._ops.void()
        self._aborts.void()
        self.swap.void()
        self.tuning.void()
        caught = [stream for core in self.cores.values() for stream in core.void()]
        for stream in self.members:
            stream.void()
            for quota in stream.quotas:
                quota.withdraw(stream)
        self.streams.clear()
        self.holders.clear()
        for stream in list(self.members):
            stream.quieten()
        if self.closing:
            self.ended()
        elif left:
            self._left()
        else:
            self._next(was_ready, caught, reason)

    def _left(self) -> None:
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

    def _answer_waiting(self) -> None:
        """Whoever waits for the engine hears of it, or that none will come."""
        calls, self.on_ready = self.on_ready, []
        for call in calls:
            call()

    def _ready(self, facts: Ready) -> None:
        self.state, self.since, self.loaded_at = READY, self.clock.now(), self.clock.now()
        self.failure = ""
        self._starts = 0
        self.facts = facts
        self.token_bytes = max(1, facts.token_bytes)
        self._q = 0
        if not self.cores:
            for index in (*range(facts.cores), EXACT):
                self.cores[index] = self._core(index)
            self._balance.cores = [self.cores[index] for index in range(facts.cores)]
        size = f"{facts.cells} cells, {facts.threads} threads"
        self.say(f"{self.device.name}: engine {self.incarnation} is pid {facts.pid}, {size}")
        self.measured()
        if self.failure:
            return
        self._requests.again()
        self.tuning.ready()
        self._answer_waiting()
        for stream in list(self.members):
            stream.client.wake()
        self.plan()

    def _core(self, index: int) -> Core:
        shared = index != EXACT
        cells = Cells(self.facts.cells if shared else self.facts.context, self.facts.sequences if shared else 1)
        return Core(index, self, cells, self.policy, self.tuning.seats if shared else 1, self.quantum, self.swap.tax)

    def schedule(self, policy: str) -> None:
        """Another policy from now on."""
        self.policy, self.ledger = policy, Ledger()
        for core in self.cores.values():
            core.queue.switch(policy, self.ledger)
            core.plan()

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
        if not self.busy or self.closing:
            return 0.0
        if self.state != READY:
            return inf
        return self._dog.step_patience if self._due else self._dog.reply_patience

    def _since(self) -> float:
        working = [core.heard for core in self.cores.values() if core.working]
        return min([self._dog.last, *working])

    def _bite(self, silence: float) -> None:
        self.say(f"{ERR}{self.device.name}: engine {self.incarnation} is silent for {silence:.0f} s: killed")
        self._hung = True
        self.device.kill()

    # Port: the cores' way to the engine.

    def input_ms(self, tokens: int) -> float:
        """See Port."""
        return self.tuning.input_ms(tokens)

    def post(self, message: ToEngine) -> None:
        """See Port."""
        if not self.busy:
            self._dog.heard()
        self.tuning.posted(message)
        self.device.post(message)

    def operation(self, holder: Holder, ended: Ended) -> int:
        """See Port."""
        return self._ops.begin(holder, ended)

    def enter(self, holder: Holder) -> None:
        """See Port."""
        self._q += 1
        holder.q = self._q
        self.holders[holder.q] = holder
        if isinstance(holder, Stream):
            self.streams[holder.q] = holder

    def forget(self, holder: Holder) -> None:
        """See Port."""
        self.streams.pop(holder.q, None)
        self.holders.pop(holder.q, None)

    def interrupt(self) -> None:
        """See Port."""
        self.tuning.interrupt()
        self._aborts.hurry(self.cores.values())

    def changed(self) -> None:
        """See Port."""
        self._balance.changed()
        self.tuning.changed()
        self.dealing.look()
        if self._pair.waits is not None:
            self.clock.call_later(0, self.plan)

    def yields(self, core: int) -> bool:
        """See Port."""
        return self.leaving or self._trial.yields(core) or not self.dealing.may(self) or self._pair.holds(core)

    def panic(self, line: str) -> None:
        """See Port."""
        self.say(f"{CRIT}panic: {line}")
        if self.strict:
            raise Panic(line)

    # For the rest of the kernel.

    def core(self, stream: Stream) -> Core:
        """The core that a stream belongs to."""
        if stream.core not in self.cores:
            stream.core = EXACT if stream.exact else self._balance.lightest()
        return self.cores[stream.core]

    def join(self, stream: Stream) -> None:
        """Its process begins. A child's goes where its parent's is, and shares the cells that it has."""
        self.members.add(stream)
        parent, stream.parent = stream.parent, None
        if parent is not None and parent in self.members and parent.core in self.cores:
            stream.core, stream.moved = parent.core, self.clock.now()
            self.cores[parent.core].sharing.fork(parent, stream)

    def wake(self, stream: Stream) -> None:
        """The stream has a goal and nothing is in its way."""
        core = self.core(stream)
        if not (stream.exact or stream.q or stream.op or stream.moved or stream in core.queue):
            stream.core = self._balance.lightest(stream.task)
            core = self.cores[stream.core]
        core.wake(stream)
        core.plan()
        self._dog.watch()

    def _send(self, stream: Stream, source: Core, target: Core) -> None:
        """Move a stream between two cores."""
        migrate(stream, source, target)
        source.plan()
        target.plan()
        self._dog.watch()

    def request(self, message: Request, reply: Callable[[Reply], None]) -> None:
        """Ask the engine's control thread; `reply` is always called. A death of the engine is no
        answer: the next engine is asked."""
        self.last_used = self.clock.now()
        if not self.busy:
            self._dog.heard()
        self._requests.ask(message, reply)
        self._dog.watch()

    def _engine(self) -> int:
        if self.closing or (self.state == DEAD and self.failure):
            return NEVER
        return self.incarnation if self.ready and not self.leaving else COMING

    def leave(self, stream: Stream) -> None:
        """The stream is gone; a step under way that serves nobody else is aborted."""
        self.members.discard(stream)
        stream.suspect = False
        self.last_used = self.clock.now()
        if not self.cores:
            return
        core = self.core(stream)
        alone = stream.leased and len(core.leased) == 1
        core.sharing.leave(stream)
        core.drop(stream)
        if alone:
            self._aborts.ask(core.index, core.steps + 1, lambda: self._ops.concern(stream))
        core.plan()

    def plan(self) -> None:
        """Plan all cores."""
        for core in self.cores.values():
            core.plan()
        self._dog.watch()

    def _plan(self, core: Core) -> None:
        """Plan one core, or all, where others hang on it: in a trial, and of two that share a thread."""
        self.ended()
        if self._trial.look() or self._pair.concerns(core.index):
            self.plan()
        else:
            core.plan()

    def _step(self, step: Step) -> None:
        core = self.cores.get(step.core)
        if core is None:
            self.dropped += 1
            return
        self._dog.stepped(step.ms)
        self.steps += 1
        self.last_used = self.clock.now()
        self.tokens_out += len(step.rows)
        fed = sum(count for _, count in step.fed)
        self.tokens_in += fed
        self.swap.restore.computed(fed, len(step.rows), step.ms)
        core.step(step)
        self._pair.stepped(step.core, step.ms, self.clock.now())
        self._aborts.ended(step)
        self.tuning.step(step)
        self._plan(core)

    def _done(self, message: Done) -> None:
        holder = self._ops.of(message.op)
        if message.core in self.cores:
            self.cores[message.core].cells.highest = message.highest
        if self.tuning.done(message) or holder is None:
            self.dropped += holder is None and message.op > 0
            return
        self.swap.done(holder, message)
        if not self.facts.share and holder.q == message.q and not holder.image:
            holder.computed = min(holder.computed, message.cells)  # what was cut off took the rest with it
        self._ops.end(message)
        self._plan(self.cores[holder.core])
