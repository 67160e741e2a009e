"""The messages in any order: books, cells and llama.cpp's own cache agree after every step.

Real llama.cpp in this process, the tiny model; the kernel's part is played by rules that keep to the
protocol, and now and then break it.
"""

import os
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llmsh.abi import abort, lease
from llmsh.abi.lease import Sampling
from llmsh.abi.unpacker import Unpacker
from llmsh.engine.binding import C
from llmsh.engine.cache import Cache
from llmsh.engine.channel import Channel
from llmsh.engine.core import AbortPage, Core
from llmsh.engine.fault import Fault
from llmsh.engine.model import Model
from llmsh.engine.orders import Orders
from llmsh.engine.sequence import Sequence
from llmsh.engine.step import Stepper
from tests.support import tinykinds
from tests.support.cachelog import CacheLog, watch
from tests.support.tinymodel import make

CELLS = 256
SLOTS = 3
QS = st.integers(1, 6)
CHILDREN = 2000
"""Sequences above it were forked."""


@cache
def model(kind: str) -> Model:
    """The tiny model, or one of another kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.gguf"
        return Model(str(tinykinds.make(path, kind) if kind else make(path)))


CORES = (0, 1, lease.EXACT)


class Machine(RuleBasedStateMachine):
    """A kernel that may say anything; `halted` and `open` are what it has heard."""

    kind: ClassVar[str] = ""
    log: ClassVar[CacheLog]

    @initialize()
    def start(self) -> None:
        fd = os.memfd_create("abort")
        os.ftruncate(fd, abort.SIZE)
        page = AbortPage(fd)
        os.close(fd)
        self.page = page
        ours, theirs = socket.socketpair()
        self.kernel = ours
        self.kernel.setblocking(False)
        self.channel = Channel(theirs.detach())
        self.cache = Cache(self.make, 2, CELLS, model(self.kind).shares(CELLS))
        self.orders = Orders(model(self.kind), self.cache, self.channel)
        self.stepper = Stepper(model(self.kind), self.cache, self.orders, self.channel, Fault())
        self.unpacker = Unpacker()
        self.leases: dict[int, int] = {}
        self.ops: set[int] = set()
        self.names = 0
        self.last = dict.fromkeys(CORES, 0)

    def make(self, index: int) -> Core:
        slots = 1 if index == lease.EXACT else SLOTS
        return Core(model(self.kind), index, CELLS, slots, threads=(1, 1), page=self.page)

    def teardown(self) -> None:
        try:
            for q in list(self.orders.sequences):
                self.say(lease.Drop(q, self.op()))
            self.hear()
            assert self.ops == set()
            assert [home.layout.used for home in self.cache.cores.values()] == [0] * len(self.cache.cores)
            assert lease.EXACT not in self.cache.cores
        finally:
            for home in self.cache.cores.values():
                home.core.close()
            self.kernel.close()
            self.channel._socket.close()

    def say(self, message: lease.ToSequence) -> None:
        self.orders.obey(message)

    def op(self) -> int:
        self.names += 1
        self.ops.add(self.names)
        return self.names

    def of(self, q: int) -> Sequence | None:
        return self.orders.sequences.get(q)

    def hear(self) -> None:
        """Everything that was said; each lease ends once, each operation once."""
        self.channel.flush()
        try:
            data = self.kernel.recv(1 << 20)
        except BlockingIOError:
            return
        for frame in self.unpacker.feed(data):
            message = lease.from_engine.decode(frame)
            if isinstance(message, lease.Halted):
                assert self.leases.pop(message.q) == message.n - 1
            elif isinstance(message, lease.Done):
                self.ops.remove(message.op)
            elif isinstance(message, lease.Step):
                assert message.no == self.last[message.core] + 1
                self.last[message.core] = message.no

    @rule(core=st.sampled_from(CORES), size=st.integers(1, 90))
    @precondition(lambda self: len(self.orders.sequences) < 6)
    def begin(self, core: int, size: int) -> None:
        self.names += 1
        q = 1000 + self.names
        self.say(lease.Open(q, core, core == lease.EXACT))
        self.say(lease.Feed(q, 0, [32 + i % 90 for i in range(size)]))
        self.say(lease.Answer(q, size, Sampling(ignore_eos=True)))

    @rule(pick=QS, extra=st.integers(0, 12), stale=st.booleans())
    def grant(self, pick: int, extra: int, stale: bool) -> None:
        sequence = self.pick(pick)
        if sequence is None or (sequence.scoring is not None and not stale):
            return
        # EXACT holds one sequence at a time: the kernel sees to that.
        if sequence.exact and any(each.slot is not None and each is not sequence and each.exact for each in self.all()):
            return
        if not stale:
            self.leases.setdefault(sequence.q, sequence.halted)
        self.say(lease.Lease(sequence.q, sequence.halted + int(stale), len(sequence.log) + extra))
        self.hear()

    def pick(self, number: int) -> Sequence | None:
        found = list(self.all())
        return found[number % len(found)] if found else None

    def all(self) -> list[Sequence]:
        return list(self.orders.sequences.values())

    @rule(pick=QS)
    def halt(self, pick: int) -> None:
        sequence = self.pick(pick)
        if sequence is not None:
            self.say(lease.Halt(sequence.q, sequence.halted))
            self.hear()
            assert not sequence.leased

    @rule(pick=QS, size=st.integers(1, 40), single=st.booleans())
    def feed(self, pick: int, size: int, single: bool) -> None:
        sequence = self.pick(pick)
        if sequence is None or not sequence.quiet or len(sequence.log) + size > CELLS - 20:
            return
        self.say(lease.Feed(sequence.q, len(sequence.log), [65] * size, single))
        self.say(lease.Answer(sequence.q, len(sequence.log), Sampling(ignore_eos=True)))

    @rule(pick=QS, part=st.floats(0, 1))
    def cut(self, pick: int, part: float) -> None:
        sequence = self.pick(pick)
        if sequence is None:
            return
        at = int(part * len(sequence.log))
        self.say(lease.Cut(sequence.q, at, self.op()))
        if sequence.quiet and len(sequence.log) == at:
            self.say(lease.Answer(sequence.q, at, Sampling(ignore_eos=True)))
        self.hear()

    @rule(pick=QS, part=st.floats(0, 1))
    @precondition(lambda self: len(self.orders.sequences) < 6)
    def fork(self, pick: int, part: float) -> None:
        sequence = self.pick(pick)
        if sequence is not None:
            op = self.op()
            at = int(part * len(sequence.log))
            self.say(lease.Fork(sequence.q, CHILDREN + op, at, op))
            self.say(lease.Answer(CHILDREN + op, at, Sampling(ignore_eos=True)))
            self.hear()

    @rule(pick=QS, what=st.sampled_from([lease.Save, lease.Load, lease.Drop]))
    def move(self, pick: int, what: Any) -> None:
        sequence = self.pick(pick)
        if sequence is None:
            return
        if what is lease.Load and sequence.exact and not self._room():
            return
        if what is lease.Drop:
            self.leases.pop(sequence.q, None)
        self.say(what(sequence.q, self.op()))
        self.hear()

    @rule(pick=QS, labels=st.lists(st.lists(st.integers(60, 99), max_size=5), max_size=12))
    def score(self, pick: int, labels: list[list[int]]) -> None:
        sequence = self.pick(pick)
        if sequence is not None and not (sequence.exact and sequence.slot is None and not self._room()):
            self.say(lease.Score(sequence.q, labels, self.op()))
            self.hear()

    def _room(self) -> bool:
        exact = self.cache.cores.get(lease.EXACT)
        return exact is None or bool(exact.free)

    @rule(pick=QS, core=st.sampled_from(CORES))
    def rehome(self, pick: int, core: int) -> None:
        sequence = self.pick(pick)
        if sequence is None:
            return
        before, quiet = sequence.core, sequence.quiet
        self.say(lease.Move(sequence.q, core, self.op()))
        self.hear()
        assert sequence.core == (core if quiet and lease.EXACT not in (before, core) else before)

    @rule(core=st.sampled_from(CORES), most=st.integers(1, 40))
    def pack(self, core: int, most: int) -> None:
        """What does not lie as low as it could; all of it, if it may."""
        home = self.cache.cores.get(core)
        before = home.layout.highest if home is not None else 0
        self.orders.pack(lease.Pack(core, most, self.op()))
        self.hear()
        if home is not None:
            high = before - home.layout.used
            assert home.layout.highest <= before
            if core != lease.EXACT and self.cache.share and high <= most:
                assert home.layout.highest == home.layout.used

    @rule(core=st.sampled_from(CORES), aborted=st.booleans(), times=st.integers(1, 4))
    def step(self, core: int, aborted: bool, times: int) -> None:
        for _ in range(times):
            if aborted and core in self.cache.cores:
                number = self.cache.cores[core].core.no + 1
                self.page._map[abort.place(core, number)] = 1
            step = self.stepper.begin(core, alone=True)
            if step is not None:
                self.stepper.decode(step, 1, 1)
                self.stepper.end(step)
            self.hear()
            aborted = False

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "cache"):
            return
        assert self.cache.check() == []
        for sequence in self.all():
            assert sequence.computed <= len(sequence.log)
            assert (sequence.q in self.orders.working) == sequence.working
            assert not (sequence.leased and sequence.scoring)
            # Who was forked may have all of its log until it is fed.
            assert sequence.working or sequence.computed < max(1, len(sequence.log)) + (sequence.q >= CHILDREN)
            if sequence.slot is not None:
                memory = C.llama_get_memory(self.cache.home(sequence).core.handle)
                assert C.llama_memory_seq_pos_max(memory, sequence.slot) == sequence.computed - 1
        for home in self.cache.cores.values():
            memory = C.llama_get_memory(home.core.handle)
            for slot in (*home.free, *home.scratch):
                assert C.llama_memory_seq_pos_max(memory, slot) == -1
            for seen in self.log.probe(home.core, home.scratch[0])[:1]:
                assert (home.layout.highest, home.layout.used) == seen


@pytest.mark.llama
@pytest.mark.parametrize("kind", ["", *tinykinds.KINDS])
def test_messages_in_any_order_leave_the_books_right(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "kind", kind)
    with watch(monkeypatch) as log:
        monkeypatch.setattr(Machine, "log", log, raising=False)
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )


@pytest.mark.llama
@pytest.mark.parametrize("kind", ["", *tinykinds.KINDS])
def test_prompts_of_different_lengths_in_a_step(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "kind", kind)
    with watch(monkeypatch) as log:
        monkeypatch.setattr(Machine, "log", log, raising=False)
        state = Machine()
        state.start()
        for size in (17, 16, 9):
            state.begin(core=0, size=size)
            state.grant(pick=-1, extra=0, stale=False)
        state.score(pick=0, labels=[])
        state.step(core=0, aborted=False, times=1)
        state.books_agree()
        # Whoever goes leaves its own cells.
        state.move(pick=0, what=lease.Drop)
        state.books_agree()
        state.teardown()
