"""The host of one device: its cores, the operations under way, and which stream each message is of.

An engine may die or hang at any moment (lifecycle.py): the host voids what it knew, and plans again for
the next one; the streams' logs are the truth. It knows streams, not processes.
"""

from collections.abc import Callable

from llmsh.abi.lease import EXACT, Done, Failed, FromEngine, Halted, Ready, Step, ToEngine
from llmsh.abi.levels import CRIT
from llmsh.kernel import inheritance
from llmsh.kernel.aborts import Aborts
from llmsh.kernel.balance import Balance
from llmsh.kernel.cells import Cells
from llmsh.kernel.clock import Clock
from llmsh.kernel.core import Core
from llmsh.kernel.dealing import Dealing
from llmsh.kernel.device import Device
from llmsh.kernel.hibernation import Hibernation
from llmsh.kernel.holder import Holder
from llmsh.kernel.lifecycle import Lifecycle
from llmsh.kernel.migration import migrate, movable, rooted
from llmsh.kernel.models import Models
from llmsh.kernel.operations import Operations
from llmsh.kernel.pair import Pair
from llmsh.kernel.port import Ended
from llmsh.kernel.proc import Panic
from llmsh.kernel.sched import Ledger
from llmsh.kernel.stream import Stream
from llmsh.kernel.swap import Limits, Swap
from llmsh.kernel.trial import Trial
from llmsh.kernel.tuning import INPUT_COST, Tuning


class Host(Lifecycle):
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
        super().__init__(device, clock, dealing, memory, say)
        self.policy = policy
        self.quantum = quantum
        self.strict = False
        """In tests a panic is raised."""
        self.cores: dict[int, Core] = {}
        self.dropped, self.token_bytes, self.latency_ms = 0, 1, 0.0
        self.streams = {}
        self.holders: dict[int, Holder] = {}
        self.members = set()
        """Every stream of this host, also those that the engine has not seen."""
        self.tokens_in = self.tokens_out = self.steps = self.moves = 0
        self.input_cost = INPUT_COST
        self.ledger = Ledger()
        self.tuning = tuning
        self._ops = Operations()
        self.swap = Swap(self, self.cores, Limits(), self.plan)
        self._aborts = Aborts(device)
        self._q = 0
        self._balance: Balance[Core] = Balance(clock, movable, self._send, rooted)
        self.tuning.attach(self, self._balance, self._dog.watch)
        self._trial = Trial(self.cores)
        self._pair = Pair(self.cores)
        self.hibernation = Hibernation(self)

    # What the engine says.

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

    # Its cores.

    def _equip(self) -> None:
        """The cores of the first engine stay for those after it."""
        self.token_bytes = max(1, self.facts.token_bytes)
        self._q = 0
        if not self.cores:
            for index in (*range(self.facts.cores), EXACT):
                self.cores[index] = self._core(index)
            self._balance.cores = [self.cores[index] for index in range(self.facts.cores)]

    def _core(self, index: int) -> Core:
        shared = index != EXACT
        cells = Cells(self.facts.cells if shared else self.facts.context, self.facts.sequences if shared else 1)
        return Core(index, self, cells, self.policy, self.tuning.seats if shared else 1, self.quantum, self.swap.tax)

    def _void(self) -> list[Stream]:
        kept = self.hibernation.kept() if self.keeps else set()
        self._ops.void()
        self._aborts.void()
        self.swap.void(kept)
        self.tuning.void()
        caught = [stream for core in self.cores.values() for stream in core.void(kept)]
        for stream in self.members:
            stream.rest() if stream in kept else stream.void()
            for quota in stream.quotas:
                quota.withdraw(stream)
        self.streams.clear()
        self.holders.clear()
        for stream in list(self.members):
            stream.quieten()
        return caught

    def schedule(self, policy: str) -> None:
        """Another policy from now on."""
        self.policy, self.ledger = policy, Ledger()
        for core in self.cores.values():
            core.queue.switch(policy, self.ledger)
            core.plan()

    # Port: the cores' way to the engine.

    def input_ms(self, tokens: int) -> float:
        """See Port."""
        return self.tuning.input_ms(tokens)

    def post(self, message: ToEngine) -> None:
        """See Port."""
        if not self._due:
            self._dog.heard()
        self.tuning.posted(message)
        self.device.post(message)

    @property
    def operating(self) -> int:
        """Operations that the engine has not ended."""
        return len(self._ops)

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
            if holder.exact:
                self.memory.grown(self)

    def forget(self, holder: Holder) -> None:
        """See Port."""
        self.streams.pop(holder.q, None)
        self.holders.pop(holder.q, None)

    def interrupt(self) -> None:
        """See Port."""
        self.tuning.interrupt()
        if self.facts.lone:
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
        parent = stream.parent
        if parent is None or parent not in self.members or parent.core not in self.cores:
            stream.parent = None
            return
        stream.core, stream.moved = parent.core, self.clock.now()
        sharing = self.cores[parent.core].sharing
        if not inheritance.later(sharing, parent, stream):
            stream.parent = None
            sharing.fork(parent, stream)

    def wake(self, stream: Stream) -> None:
        """The stream has a goal and nothing is in its way."""
        core = self.core(stream)
        if not (stream.exact or stream.q or stream.op or stream.image or stream.moved or stream in core.queue):
            stream.core = self._balance.place(stream)
            core = self.cores[stream.core]
        core.wake(stream)
        core.plan()
        self._dog.watch()

    def _send(self, stream: Stream, source: Core, target: Core) -> None:
        """Move a stream between two cores. It may be in the midst of what a lease's end is followed by."""
        migrate(stream, source, target)
        self.clock.call_later(0, self.plan)

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
