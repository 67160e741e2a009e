"""The engine of the fake device: sequences, leases and steps, as abi/lease.py and docs/leases.md rule.

It knows no clock and no channel: `take` a message between two steps, `begin` a step, `finish` or
`undo` it. What only a bug of the kernel can send raises AssertionError here.
"""

from typing import NamedTuple

from llmsh.abi import lease
from llmsh.abi.limits import SEQUENCES_MAX, STEP_MAX_MS
from llmsh.drivers.fakecells import Cells
from llmsh.drivers.faketext import EOS, JSON_GRAMMAR, Matcher, Script, Words, Writer, mix, score

EXACT = 256
"""An exact sequence is computed in chunks that end at multiples of this."""


class ProtocolError(AssertionError):
    """The kernel broke a rule of the protocol."""


def rule(held: bool, what: object, text: str, *values: object) -> None:
    """Raise ProtocolError unless the rule held; the text is made only then."""
    if not held:
        raise ProtocolError(f"{str(what)[:200]}: {text.format(*values)}")


class Options(NamedTuple):
    """How large and how fast. Times are milliseconds of the device's clock."""

    cells: int = 4096
    sequences: int = SEQUENCES_MAX
    context: int = 0
    """0: as many tokens as there are cells."""
    ms: float = 5.0
    """One step with one sequence."""
    each: float = 0.5
    """Each further sequence of a step."""
    prefill: float = 0.2
    """Each further token of one sequence in a step."""
    save: float = 1.0
    """A SAVE or LOAD, added to the next step."""
    start: float = 5.0
    """From start to Ready."""
    control: float = 1.0
    """A request on the control channel."""
    answer: int = 24
    """Bytes of an answer, about."""

    @property
    def longest(self) -> int:
        """The context in tokens."""
        return min(self.context or self.cells, self.cells)


class Sequence:
    """One q. Quiet when it has no lease, is not scoring and is not in a step."""

    def __init__(self, q: int, exact: bool) -> None:
        self.q = q
        self.exact = exact
        self.log = bytearray()
        self.cells: list[int] = []
        self.image = 0
        self.single = 0
        self.made = False
        self.halted = 0
        self.upto: int | None = None
        self.revoked = False
        self.scoring: lease.Score | None = None
        self.at = -1
        self.sampling = lease.Sampling()
        self.matcher = Matcher(())

    @property
    def quiet(self) -> bool:
        """Whether what needs a quiet q may come now."""
        return self.upto is None and self.scoring is None

    @property
    def target(self) -> int:
        """How many positions have to be in the cache before the lease or the score is served."""
        whole = self.scoring is not None or (self.upto or 0) > len(self.log)
        return len(self.log) if whole else len(self.log) - 1


class Plan(NamedTuple):
    """A step under way: how many positions each sequence computes."""

    no: int
    ms: float
    parts: tuple[tuple[Sequence, int], ...]


class FakeEngine:
    """One incarnation of the engine, with one core."""

    def __init__(self, options: Options, writer: Writer | None = None) -> None:
        self.options = options
        self.writer: Writer = writer or Words(options.answer)
        self.cells = Cells(options.cells)
        self.sequences: dict[int, Sequence] = {}
        self.steps = 0
        self.ignored = 0
        self.peak = 0
        self._used_names: set[int] = set()
        self._extra = 0.0
        self._out: list[lease.FromEngine] = []

    # Messages.

    def take(self, message: lease.ToEngine) -> list[lease.FromEngine]:
        """Do what one message asks, between two steps; what to answer at once."""
        self._out = []
        if isinstance(message, lease.Open):
            self._open(message)
        else:
            rule(message.q in self.sequences, message, "no such sequence")
            self._dispatch(self.sequences[message.q], message)
        return self._out

    def _open(self, message: lease.Open) -> None:
        rule(message.q not in self._used_names, message, "q was used before")
        rule(message.core == 0, message, "no such core")
        rule(len(self.sequences) < self.options.sequences, message, "{} sequences already", len(self.sequences))
        self._add(message.q, message.exact)

    def _add(self, q: int, exact: bool) -> Sequence:
        self._used_names.add(q)
        sequence = self.sequences[q] = Sequence(q, exact)
        return sequence

    def _dispatch(self, sequence: Sequence, message: lease.ToEngine) -> None:
        match message:
            case lease.Lease():
                self._lease(sequence, message)
            case lease.Halt():
                self._halt(sequence, message)
            case lease.Fork():
                self._fork(sequence, message)
            case lease.Drop():
                self._release(sequence, 0)
                del self.sequences[sequence.q]
                self._done(message.op, sequence)
            case _:
                rule(sequence.quiet, message, "q is not quiet")
                self._quiet(sequence, message)

    def _quiet(self, sequence: Sequence, message: lease.ToEngine) -> None:
        match message:
            case lease.Answer():
                self._answer(sequence, message)
            case lease.Feed():
                self._feed(sequence, message)
            case lease.Cut():
                self._cut(sequence, message)
            case lease.Save():
                self._save(sequence, message)
            case lease.Load():
                self._load(sequence, message)
            case lease.Score():
                rule(bool(sequence.log) and not sequence.image, message, "nothing fed, or saved and not loaded")
                sequence.scoring = message

    def _done(self, op: int, sequence: Sequence, error: str = "", scores: list[float] | None = None) -> None:
        self._out.append(lease.Done(op, sequence.q, len(sequence.cells), error, scores or []))

    def _lease(self, sequence: Sequence, message: lease.Lease) -> None:
        if message.n != sequence.halted:
            self.ignored += 1
            return
        rule(bool(sequence.log), message, "nothing was fed")
        rule(not sequence.image, message, "saved and not loaded")
        if sequence.upto is None:
            rule(sequence.scoring is None, message, "q is scoring")
            rule(message.upto >= len(sequence.log), message, "length is {} already", len(sequence.log))
            sequence.upto = message.upto
        else:
            sequence.upto = max(sequence.upto, message.upto)
        rule(sequence.upto <= len(sequence.log) or sequence.at >= 0, message, "no answer was begun")
        rule(sequence.upto <= self.options.longest, message, "the context is {}", self.options.longest)
        self._settle(sequence)

    def _halt(self, sequence: Sequence, message: lease.Halt) -> None:
        if message.n != sequence.halted or sequence.upto is None:
            self.ignored += 1
            return
        self._end(sequence, lease.REVOKED)

    def _answer(self, sequence: Sequence, message: lease.Answer) -> None:
        rule(0 <= message.at <= len(sequence.log), message, "length is {}", len(sequence.log))
        sequence.at = message.at
        sequence.sampling = message.sampling
        sequence.matcher = Matcher(message.sampling.stop)
        for byte in sequence.log[message.at :]:
            sequence.matcher.feed(byte)

    def _feed(self, sequence: Sequence, message: lease.Feed) -> None:
        rule(message.at == len(sequence.log), message, "length is {}", len(sequence.log))
        rule(all(0 <= token < EOS for token in message.tokens), message, "a token is not in the vocabulary")
        rule(len(sequence.log) + len(message.tokens) <= self.options.longest, message, "longer than the context")
        sequence.log += bytes(message.tokens)
        sequence.made = False
        if message.single:
            sequence.single = len(sequence.log)

    def _cut(self, sequence: Sequence, message: lease.Cut) -> None:
        rule(0 <= message.at <= len(sequence.log), message, "length is {}", len(sequence.log))
        del sequence.log[message.at :]
        self._release(sequence, max(0, message.at - 1))
        sequence.image = min(sequence.image, max(0, message.at - 1))
        sequence.made = False
        if sequence.at > message.at:
            sequence.at = -1
        self._done(message.op, sequence)

    def _fork(self, sequence: Sequence, message: lease.Fork) -> None:
        rule(message.q2 not in self._used_names, message, "q2 was used before")
        rule(0 <= message.at <= len(sequence.log), message, "length is {}", len(sequence.log))
        rule(len(self.sequences) < self.options.sequences, message, "{} sequences already", len(self.sequences))
        child = self._add(message.q2, sequence.exact)
        child.log = sequence.log[: message.at]
        child.cells = self.cells.share(sequence.cells[: max(0, message.at - 1)])
        child.single = min(sequence.single, message.at)
        self._done(message.op, child)

    def _save(self, sequence: Sequence, message: lease.Save) -> None:
        sequence.image = max(sequence.image, len(sequence.cells))
        self._release(sequence, 0)
        self._extra += self.options.save
        self._done(message.op, sequence)

    def _load(self, sequence: Sequence, message: lease.Load) -> None:
        if not sequence.image:
            return self._done(message.op, sequence, "no image")
        rule(sequence.image - len(sequence.cells) <= self.cells.free, message, "{} cells are free", self.cells.free)
        self._grow(sequence, sequence.image - len(sequence.cells))
        sequence.image = 0
        self._extra += self.options.save
        return self._done(message.op, sequence)

    # Cells.

    def _release(self, sequence: Sequence, keep: int) -> None:
        self.cells.give(sequence.cells[keep:])
        del sequence.cells[keep:]

    def _grow(self, sequence: Sequence, count: int) -> None:
        sequence.cells += self.cells.take(count)
        self.peak = max(self.peak, self.cells.used)

    # Leases.

    def _end(self, sequence: Sequence, why: str) -> None:
        sequence.upto = None
        sequence.halted += 1
        self._out.append(lease.Halted(sequence.q, sequence.halted, len(sequence.log), why, sequence.matcher.safe))

    def _settle(self, sequence: Sequence) -> None:
        """End a lease that is served."""
        if sequence.upto is not None and sequence.upto <= len(sequence.log) and len(sequence.cells) >= sequence.target:
            self._end(sequence, lease.LIMIT)

    # Steps.

    def begin(self) -> Plan | None:
        """The next step, or None when nobody has anything to compute."""
        ready = [each for each in self.sequences.values() if not each.quiet]
        parts = [(each, 1) for each in ready if each.target - len(each.cells) == 1 or self._alone(each)]
        ms = self.options.ms + self.options.each * max(0, len(parts) - 1)
        chosen = {each.q for each, _ in parts}
        waiting = [each for each in ready if each.q not in chosen]
        for place, each in enumerate(waiting):
            count = self._chunk(each, ms, at_least=1 if place == 0 else 0)
            if count:
                ms += self.options.prefill * (count - 1) + (self.options.each if parts else 0.0)
                parts.append((each, count))
        need = sum(count for _, count in parts)
        rule(need <= self.cells.free, "nocell", "a step of {} positions, {} cells are free", need, self.cells.free)
        if not parts:
            return None
        self.steps += 1
        ms, self._extra = ms + self._extra, 0.0
        return Plan(self.steps, ms, tuple(parts))

    def _alone(self, sequence: Sequence) -> bool:
        return len(sequence.cells) < sequence.single

    def _chunk(self, sequence: Sequence, ms: float, at_least: int) -> int:
        """Positions of a prefill that a step of `ms` so far can take."""
        left = sequence.target - len(sequence.cells)
        if sequence.exact:
            return min(left, EXACT - len(sequence.cells) % EXACT)
        room = (STEP_MAX_MS - ms - self.options.each) / max(self.options.prefill, 1e-6)
        return min(left, max(at_least, int(room)))

    def undo(self, plan: Plan) -> list[lease.FromEngine]:
        """The step was aborted: nothing of it happened, but its number is used."""
        return [lease.Step(0, plan.no, plan.ms, [], [], self.cells.used)]

    def finish(self, plan: Plan) -> list[lease.FromEngine]:
        """Account the step: its record first, then the leases and scores that it ended."""
        self._out = []
        rows: list[lease.Row] = []
        fed: list[tuple[int, int]] = []
        for sequence, count in plan.parts:
            new = count - (1 if sequence.made and len(sequence.cells) == len(sequence.log) - 1 else 0)
            if new:
                fed.append((sequence.q, new))
            self._grow(sequence, count)
            self._after(sequence, rows)
        self._out.insert(0, lease.Step(0, plan.no, plan.ms, rows, fed, self.cells.used))
        return self._out

    def _after(self, sequence: Sequence, rows: list[lease.Row]) -> None:
        if sequence.scoring is not None:
            if len(sequence.cells) == len(sequence.log):
                self._scored(sequence, sequence.scoring)
        elif len(sequence.cells) == len(sequence.log):
            self._sample(sequence, rows)
        else:
            self._settle(sequence)

    def _scored(self, sequence: Sequence, message: lease.Score) -> None:
        sequence.scoring = None
        self._release(sequence, len(sequence.log) - 1)
        scores = [score(bytes(sequence.log), bytes(label)) for label in message.labels]
        self._done(message.op, sequence, scores=scores)

    def _sample(self, sequence: Sequence, rows: list[lease.Row]) -> None:
        token, why = self._next(sequence)
        if why:
            self._release(sequence, len(sequence.log) - 1)
            return self._end(sequence, why)
        position = len(sequence.log)
        sequence.log.append(token)
        sequence.made = True
        sequence.matcher.feed(token)
        rows.append((sequence.q, position, token, bytes([token]), sequence.matcher.safe))
        if sequence.matcher.stopped:
            return self._end(sequence, lease.STOP)
        return self._settle(sequence)

    def _next(self, sequence: Sequence) -> tuple[int, str]:
        log, sampling = bytes(sequence.log), sequence.sampling
        if sampling.grammar.startswith(JSON_GRAMMAR):
            token = Script(sampling.grammar.removeprefix(JSON_GRAMMAR).encode()).next(log, sequence.at, 0)
            return token, lease.GRAMMAR if token == EOS else ""
        token = self.writer.next(log, sequence.at, sampling.seed)
        if token != EOS:
            return token, ""
        return ord("a") + mix(sampling.seed, len(log)) % 26, "" if sampling.ignore_eos else lease.EOS

    def check(self) -> list[str]:
        """Faults of the books; empty when they are right."""
        faults = self.cells.check([each.cells for each in self.sequences.values()])
        for each in self.sequences.values():
            if len(each.cells) > max(0, len(each.log) - 1):
                faults.append(f"q {each.q}: {len(each.cells)} cells for a length of {len(each.log)}")
            if each.upto is not None and each.scoring is not None:
                faults.append(f"q {each.q}: leased and scoring")
        return faults
