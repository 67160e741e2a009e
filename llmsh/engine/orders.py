"""What each message of the kernel does to a sequence, between two steps.

A message that the rules forbid is not obeyed: operations answer with an error, a lease with HALTED
fault. It decodes nothing; step.py does.
"""

import sys
import time

from llmsh.abi import lease
from llmsh.abi.errors import Error
from llmsh.engine.answer import Answer
from llmsh.engine.cache import Cache
from llmsh.engine.channel import Channel
from llmsh.engine.model import Model
from llmsh.engine.packing import pack
from llmsh.engine.score import Scoring
from llmsh.engine.sequence import Sequence, cut_spans

LABEL_MAX = 256
"""Tokens of one label: it is decoded in one step."""


class Orders:
    """The sequences of an engine, and what the kernel may ask of them."""

    def __init__(self, model: Model, cache: Cache, channel: Channel) -> None:
        self.sequences: dict[int, Sequence] = {}
        self.working: dict[int, Sequence] = {}
        """Those that a step has something to do for, in the order in which they began."""
        self._model = model
        self._cache = cache
        self._channel = channel

    def obey(self, message: lease.ToSequence) -> None:
        """Do what one message says."""
        if isinstance(message, lease.Open):
            core = lease.EXACT if message.exact else message.core
            self.sequences[message.q] = Sequence(message.q, core, message.exact)
            return
        sequence = self.sequences.get(message.q)
        if sequence is None:
            self._stranger(message)
            return
        match message:
            case lease.Lease():
                self._lease(sequence, message)
            case lease.Halt():
                if message.n == sequence.halted and sequence.leased:
                    self.end(sequence, lease.REVOKED)
            case lease.Feed():
                self._feed(sequence, message)
            case lease.Answer():
                self._answer(sequence, message)
            case lease.Drop():
                self._drop(sequence, message.op)
            case lease.Fork():
                self._fork(sequence, message)
            case _:
                self._operate(sequence, message)

    def _stranger(self, message: lease.ToSequence) -> None:
        """A message about a sequence that is not: an operation still has its DONE."""
        sys.stderr.write(f"engine: {type(message).__name__.lower()}: no sequence {message.q}\n")
        if isinstance(message, lease.Operation):
            self._done(message.op, -1, message.q, error="no such sequence")

    def end(self, sequence: Sequence, why: str, detail: str = "") -> None:
        """End a lease."""
        self.working.pop(sequence.q, None)
        self._cache.vacate(sequence)
        self._channel.send(sequence.end(why, detail))

    def _done(
        self, op: int, core: int, q: int, cells: int = 0, error: str = "", scores: list[float] | None = None
    ) -> None:
        self._channel.send(lease.Done(op, q, cells, error, scores or [], core=core, highest=self._cache.highest(core)))

    def pack(self, message: lease.Pack) -> None:
        """Close holes of a core."""
        began = time.perf_counter()
        moved = pack(self._cache, message.core, message.most)
        ms = round((time.perf_counter() - began) * 1000, 3)
        highest = self._cache.highest(message.core)
        self._channel.send(lease.Done(message.op, 0, moved, ms=ms, core=message.core, highest=highest))

    # Leases.

    def _lease(self, sequence: Sequence, message: lease.Lease) -> None:
        if message.n != sequence.halted:
            return
        sequence.pace = message.ms
        if sequence.leased:
            sequence.upto = max(sequence.upto or 0, message.upto)
            return
        sequence.upto = message.upto
        fault = self._fault(sequence)
        if fault:
            self.end(sequence, lease.FAULT, fault)
            return
        if sequence.answer is not None and sequence.answer.over and sequence.grows(self._cache.context):
            self.end(sequence, sequence.answer.over)
            return
        try:
            self._cache.enter(sequence)
        except Error as exc:
            self.end(sequence, lease.NOCELL if exc.code == "EAGAIN" else lease.FAULT, exc.detail)
            return
        self._begin(sequence)
        self.settle(sequence)

    def _begin(self, sequence: Sequence) -> None:
        """Something is to be computed. A log's last token always is: who was forked, and not fed since, has a
        cell too many."""
        if sequence.computed >= len(sequence.log):
            self._cache.trim(sequence, len(sequence.log) - 1)
        self.working[sequence.q] = sequence

    def _fault(self, sequence: Sequence) -> str:
        """Why a lease cannot be served."""
        fault, sequence.fault = sequence.fault, ""
        if fault:
            return fault
        if sequence.scoring is not None:
            return "leased while labels are scored"
        if sequence.saved >= 0:
            return "leased while its cells are saved"
        if not sequence.log:
            return "leased with an empty log"
        if sequence.grows(self._cache.context):
            return sequence.answer.catch_up(sequence.log) if sequence.answer is not None else "leased without an answer"
        return ""

    def settle(self, sequence: Sequence) -> None:
        """End a lease that is served: its length reached, and all but the last token computed."""
        context = self._cache.context
        if sequence.leased and not sequence.grows(context) and sequence.computed >= sequence.target(context):
            self.end(sequence, lease.LIMIT)

    def _feed(self, sequence: Sequence, message: lease.Feed) -> None:
        if sequence.quiet:
            sequence.feed(message.at, message.tokens, message.single, self._model.size)
            if sequence.exact and sequence.computed:
                self._cache.trim(sequence, sequence.boundary(sequence.computed))
        else:
            sequence.fault = "fed while not quiet"

    def _answer(self, sequence: Sequence, message: lease.Answer) -> None:
        if not sequence.quiet:
            sequence.fault = "answer begun while not quiet"
            return
        sequence.drop_answer()
        try:
            sequence.answer = Answer(self._model, message.at, message.sampling)
        except ValueError as exc:
            sequence.fault = str(exc)

    # Operations.

    def _operate(self, sequence: Sequence, message: lease.ToSequence) -> None:
        assert isinstance(message, lease.Operation)  # the rest is obeyed above
        if not sequence.quiet:
            self._done(message.op, sequence.core, sequence.q, sequence.computed, "q is not quiet")
            return
        match message:
            case lease.Score():
                self._score(sequence, message)
                return
            case lease.Cut():
                error = self._cut(sequence, message.at)
            case lease.Adopt():
                error = sequence.adopt(message.computed, message.at, message.size)
            case _:
                began, core = time.perf_counter(), sequence.core
                error = self._copy(sequence, message)
                ms = round((time.perf_counter() - began) * 1000, 3)
                size = sequence.image.nbytes if sequence.image is not None else 0
                facts = {"size": size, "core": core, "highest": self._cache.highest(core)}
                self._channel.send(lease.Done(message.op, sequence.q, sequence.computed, error, [], ms, **facts))
                return
        self._done(message.op, sequence.core, sequence.q, sequence.computed, error)

    def _copy(self, sequence: Sequence, message: lease.Operation) -> str:
        """What copies cells from or to an image; empty, or what is wrong."""
        match message:
            case lease.Save():
                return self._cache.save(sequence, message.at)
            case lease.Move():
                return self._cache.move(sequence, message.core, message.at)
            case lease.Load():
                return self._cache.load(sequence, self.sequences.get(message.donor))
            case _:
                raise AssertionError(message)

    def _cut(self, sequence: Sequence, at: int) -> str:
        if not 0 <= at <= len(sequence.log):
            return f"cut at {at}, the log is {len(sequence.log)} long"
        sequence.forget(at)
        if sequence.saved >= 0:
            self._cache.clip(sequence, max(0, at - 1))
        else:
            self._cache.trim(sequence, max(0, at - 1))
            self._cache.vacate(sequence)
        return ""

    def _score(self, sequence: Sequence, message: lease.Score) -> None:
        size = self._model.size
        error = ""
        if sequence.saved >= 0 or not sequence.log or sequence.fault:
            error = sequence.fault or ("its cells are saved" if sequence.saved >= 0 else "nothing was fed")
        elif any(not 0 <= token < size for label in message.labels for token in label):
            error = f"a label has a token outside the vocabulary of {size}"
        elif any(len(label) > LABEL_MAX for label in message.labels):
            error = f"a label has more than {LABEL_MAX} tokens"
        elif len(sequence.log) + max(map(len, message.labels), default=0) > self._cache.context:
            error = f"prompt and label are longer than the context of {self._cache.context}"
        else:
            try:
                self._cache.enter(sequence)
            except Error as exc:
                error = exc.detail
        if error:
            self._done(message.op, sequence.core, sequence.q, sequence.computed, error)
            return
        sequence.scoring = Scoring(message.op, message.labels)
        self._begin(sequence)

    def scored(self, sequence: Sequence, error: str = "") -> None:
        """A SCORE has ended: what it computed beyond the log's last but one token goes."""
        scoring = sequence.scoring
        assert scoring is not None  # called for sequences that score
        sequence.scoring = None
        self.working.pop(sequence.q, None)
        self._cache.trim(sequence, max(0, len(sequence.log) - 1))
        self._cache.vacate(sequence)
        scores = [] if error else scoring.scores
        self._done(scoring.op, sequence.core, sequence.q, sequence.computed, error, scores)

    def _fork(self, sequence: Sequence, message: lease.Fork) -> None:
        if not 0 <= message.at <= len(sequence.log) or message.q2 in self.sequences:
            self._done(message.op, -1, message.q2, 0, f"fork at {message.at}, the log is {len(sequence.log)} long")
            return
        child = Sequence(message.q2, sequence.core, sequence.exact)
        child.log = sequence.log[: message.at]
        child.fed = min(sequence.fed, message.at)
        child.singles = cut_spans(sequence.singles, message.at)
        self.sequences[child.q] = child
        self._cache.fork(sequence, child)
        size = child.image.nbytes if child.image is not None else 0
        self._channel.send(lease.Done(message.op, child.q, child.computed, size=size))

    def _drop(self, sequence: Sequence, op: int) -> None:
        self.working.pop(sequence.q, None)
        scoring = sequence.scoring
        if scoring is not None:
            self._done(scoring.op, -1, sequence.q, error="dropped")
        sequence.drop_answer()
        self._cache.leave(sequence)
        del self.sequences[sequence.q]
        self._cache.shrink(self.sequences)
        self._done(op, sequence.core, sequence.q)
