"""One step of a core: plan, fill the batch, decode, then sample, append and tell the kernel.

Samplers advance only after llama_decode returned 0. It decides nothing: who may compute is said by
leases, what is computed by plan.py.
"""

from array import array

import numpy as np

from llmsh.abi import lease
from llmsh.abi.layout import placed
from llmsh.engine.cache import Cache, Residents
from llmsh.engine.channel import Channel
from llmsh.engine.core import SCRATCH
from llmsh.engine.fault import Fault
from llmsh.engine.model import Model
from llmsh.engine.orders import Orders
from llmsh.engine.plan import Work, plan, room
from llmsh.engine.rate import Rate
from llmsh.engine.sampler import DeadEnd, Floats
from llmsh.engine.sequence import Sequence

NOCELL, ABORTED = 1, 2
"""Results of llama_decode that are no fault of the batch."""


class Planned:
    """A step under way."""

    __slots__ = ("busy", "home", "ms", "no", "rate", "rc", "rows", "threads", "works")

    def __init__(self, home: Residents, works: list[Work], rows: list[int], rate: Rate) -> None:
        self.home = home
        self.works = works
        self.rows = rows
        """The row of each work's first output."""
        self.rate = rate
        self.no = self.rc = self.threads = self.busy = 0
        self.ms = 0.0

    @property
    def size(self) -> int:
        """Tokens of its batch."""
        return self.home.core.batch.size

    @property
    def prompt(self) -> bool:
        """Whether it computes input."""
        return any(work.size > 1 for work in self.works)


class Stepper:
    """Makes the steps of all cores."""

    def __init__(self, model: Model, cache: Cache, orders: Orders, channel: Channel, fault: Fault) -> None:
        self._model = model
        self._cache = cache
        self._orders = orders
        self._channel = channel
        self._fault = fault
        self._rates: dict[tuple[int, bool], Rate] = {}

    def begin(self, index: int, *, alone: bool) -> "Planned | None":
        """Plan a core's next step and fill its batch; None when it has nothing to do. `alone`: no other
        core works."""
        working = [each for each in self._orders.working.values() if each.core == index]
        if not working:
            return None
        home = self._cache.cores[index]
        rate = self._rates.setdefault((index, alone), Rate(tiled=home.core.tiled))
        large = home.core.tiled and len(self._orders.working) == 1
        size = room(working, self._cache.context, rate, large=large)
        works = plan(working, size, home.core.batch.capacity, self._cache.context, len(home.scratch))
        step = Planned(home, works, self._fill(home, works), rate)
        self._fault.before(works, self._model.pieces)
        return step

    def decode(self, step: "Planned", threads: int, busy: int) -> None:
        """Do it; the only part that other cores do not wait for. `busy` cores work."""
        step.threads, step.busy = threads, busy
        step.no, step.rc, step.ms = step.home.core.decode((threads, threads))

    def end(self, step: "Planned") -> None:
        """Account what came of it."""
        if step.rc == 0:
            step.rate.saw(step.home.core.batch.size, step.ms)
            self._commit(step)
        else:
            self._failed(step)
        self._fault.after(self._channel)

    def _fill(self, home: Residents, works: list[Work]) -> list[int]:
        """The batch, and the row of each work's first output."""
        batch, rows = home.core.batch, []
        batch.clear()
        for work in works:
            sequence = work.sequence
            assert sequence.slot is not None  # orders.py let it work
            if work.parts:
                rows.append(self._fill_labels(home, work))
            else:
                tokens = sequence.log[work.start : work.end].tolist()
                rows.append(batch.add(tokens, work.start, sequence.slot, "last" if work.row else "none"))
        return rows

    def _fill_labels(self, home: Residents, work: Work) -> int:
        row = home.core.batch.outputs
        assert work.sequence.slot is not None  # orders.py let it work
        for part in work.parts:
            slot = home.scratch.pop()
            home.core.share(work.sequence.slot, slot, 0, work.end)
            home.core.batch.add(part.tokens, work.end, slot, "all")
        return row

    def _clean(self, home: Residents) -> None:
        """Scratch slots live for one step."""
        last = home.core.slots + len(home.scratch)
        for slot in range(last, home.core.slots + SCRATCH):
            home.core.remove(slot, 0)
            home.scratch.append(slot)

    def _commit(self, step: Planned) -> None:
        home, works = step.home, step.works
        logits = home.core.logits() if home.core.batch.outputs else np.empty((0, 0), np.float32)
        made: list[lease.Row] = []
        fed: list[tuple[int, int]] = []
        ends: list[tuple[Sequence, str]] = []
        labels = self._grow(home, works)
        for work, row in zip(works, step.rows, strict=True):
            sequence = work.sequence
            sequence.alone = False
            inputs = min(work.end, sequence.fed) - work.start
            if inputs > 0:
                fed.append((sequence.q, inputs))
            if sequence.scoring is not None:
                self._score(work, logits[row:])
            elif work.row:
                ends.append((sequence, self._sample(sequence, logits[row], made)))
            else:
                ends.append((sequence, ""))
        self._clean(home)
        home.layout.give(labels)
        self._tell(step, made, fed)
        self._after(works, ends)

    def _grow(self, home: Residents, works: list[Work]) -> "array[int]":
        """Enter the cells that a step has filled, as llama.cpp took them; those of labels."""
        labels = array("i")
        parts = [(work, size) for work in works for size in [len(part.tokens) for part in work.parts] or [work.size]]
        for at, count in placed([size for _, size in parts], self._model.states):
            work = parts[at][0]
            if work.parts:
                labels += home.layout.take(count)
            else:
                self._cache.grow(work.sequence, work.sequence.computed + count)
        return labels

    def _tell(self, step: Planned, made: list[lease.Row], fed: list[tuple[int, int]]) -> None:
        core, layout, ms = step.home.core, step.home.layout, round(step.ms, 3)
        facts = (layout.used, step.threads, step.busy, layout.highest)
        self._channel.send(lease.Step(core.index, step.no, ms, made, fed, *facts))

    def _sample(self, sequence: Sequence, row: Floats, made: list[lease.Row]) -> str:
        """The next token of a sequence; why its lease ends by it, or empty."""
        answer = sequence.answer
        assert answer is not None  # a lease that grows has one
        pos = len(sequence.log)
        try:
            token = answer.choose(row, sequence.log)
            sequence.log.append(token)
            why = answer.take(token)
        except DeadEnd:
            return lease.GRAMMAR
        piece = b"" if why == lease.EOS else self._model.pieces[token]
        made.append((sequence.q, pos, token, piece, answer.matcher.safe))
        return why

    def _score(self, work: Work, rows: Floats) -> None:
        scoring = work.sequence.scoring
        assert scoring is not None  # the caller looked
        if work.row:
            scoring.prompt(rows[0])
        for part in work.parts:
            scoring.result(part, rows[: len(part.tokens)])
            rows = rows[len(part.tokens) :]

    def _after(self, works: list[Work], ends: list[tuple[Sequence, str]]) -> None:
        for sequence, why in ends:
            if why:
                self._orders.end(sequence, why)
            else:
                self._orders.settle(sequence)
        for work in works:
            scoring = work.sequence.scoring
            if scoring is not None and scoring.done:
                self._orders.scored(work.sequence)

    def _failed(self, step: Planned) -> None:
        """The step did not happen: back to where it began. An aborted one is made again from what is
        still wanted; after another failure its sequences go one a step, and the one that fails alone
        is halted."""
        works, rc = step.works, step.rc
        self._clean(step.home)
        for work in works:
            self._cache.trim(work.sequence, work.start)
            work.sequence.alone = rc != ABORTED
            work.sequence.interrupted = rc == ABORTED
        self._tell(step, [], [])
        if rc == ABORTED or len(works) > 1:
            return
        sequence = works[0].sequence
        sequence.alone = False
        why, detail = (lease.NOCELL, "no free cell") if rc == NOCELL else (lease.FAULT, f"llama_decode returned {rc}")
        if sequence.scoring is not None:
            self._orders.scored(sequence, detail)
        else:
            self._orders.end(sequence, why, detail)
