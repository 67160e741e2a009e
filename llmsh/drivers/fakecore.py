"""One core of the fake engine: its sequences, its cells, and what a step makes of them.

It knows no message that the kernel sends and no clock: `begin` a step, then `finish` it or forget it.
"""

from array import array
from typing import NamedTuple

from llmsh.abi import lease
from llmsh.abi.layout import Layout
from llmsh.abi.limits import SEQUENCES_MAX, STEP_MAX_MS
from llmsh.drivers.faketext import EOS, JSON_GRAMMAR, Matcher, Script, Writer, mix, score

CELL_BYTES = 1024
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
    """Cells and sequences are those of each core."""
    cores: int = 1
    context: int = 0
    """0: as many tokens as there are cells."""
    ms: float = 5.0
    """One step with one sequence."""
    each: float = 0.5
    """Each further sequence of a step."""
    prefill: float = 0.2
    """Each further token of one sequence in a step."""
    cell: float = 0.0
    """Each cell up to the highest one in use, in a step."""
    save: float = 1.0
    """A SAVE or LOAD, added to the next step."""
    disk: float = 0.0
    """A KiB of an image to the swap file or back."""
    start: float = 5.0
    """From start to Ready."""
    control: float = 1.0
    """A request on the control channel."""
    answer: int = 24
    """Bytes of an answer, about."""
    cpus: int = 1
    """Threads that a step may have."""
    gain: float = 0.5
    """What each further thread adds to the speed of one."""
    deaf: int = 0
    """1: a step under way cannot be aborted."""
    lone: int = 0
    """1: READY says that a prompt that is alone may have long steps, though none is longer than others."""
    weights: int = 0
    """KiB that the model is said to take, without its cells."""

    @property
    def longest(self) -> int:
        """The context in tokens."""
        return min(self.context or self.cells, self.cells)


class Sequence:
    """One q. Quiet when it has no lease, is not scoring and is not in a step."""

    def __init__(self, q: int, core: int, exact: bool) -> None:
        self.q = q
        self.core = core
        self.exact = exact
        self.log = bytearray()
        self.cells: array[int] = array("i")
        self.saved = False
        self.spilled: int | None = None
        """Where its image lies in the swap file, if there."""
        self.size = 0
        """Bytes of the image."""
        self.image = self.behind = 0
        """Cells' worth in the image, and where it begins."""
        self.single = 0
        self.made = False
        self.halted = 0
        self.upto: int | None = None
        self.pace = 0.0
        """The bound of a step in which it makes a token, in milliseconds; 0: the usual."""
        self.revoked = False
        self.scoring: lease.Score | None = None
        self.at = -1
        self.sampling = lease.Sampling()
        self.matcher = Matcher(())
        self.logprob = 0.0
        """Of a rated answer, since the lease began."""

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

    core: int
    no: int
    ms: float
    parts: tuple[tuple[Sequence, int], ...]
    """None: a measurement."""
    threads: int = 1
    busy: int = 1


class FakeCore:
    """What one context of the engine holds. `out` collects what it says."""

    def __init__(self, index: int, cells: int, seats: int, options: Options, writer: Writer) -> None:
        self.index = index
        self.cells = Layout(cells)
        self.seats = seats
        self.options = options
        self.writer = writer
        self.sequences: list[Sequence] = []
        self.steps = 0
        self.extra = 0.0
        """Milliseconds that a SAVE or LOAD adds to the next step."""
        self.out: list[lease.FromEngine] = []

    # Cells.

    def release(self, sequence: Sequence, keep: int) -> None:
        """Give back all cells of a sequence but the first `keep`."""
        self.cells.give(sequence.cells[keep:])
        del sequence.cells[keep:]

    def grow(self, sequence: Sequence, count: int) -> None:
        """Take `count` more cells for a sequence; one that has none needs a seat, too."""
        holders = sum(bool(each.cells) for each in self.sequences)
        rule(bool(sequence.cells) or holders < self.seats, sequence.q, "{} sequences hold cells already", holders)
        sequence.cells += self.cells.take(count)

    def share(self, donor: Sequence, sequence: Sequence, end: int) -> None:
        """The donor's cells before `end` are the sequence's as well."""
        found = donor.cells[:end]
        if found:
            holders = sum(bool(each.cells) for each in self.sequences)
            rule(holders < self.seats, sequence.q, "{} sequences hold cells already", holders)
            sequence.cells = self.cells.share(found)

    def done(
        self,
        op: int,
        sequence: Sequence,
        error: str = "",
        *,
        scores: list[float] | None = None,
        size: int = 0,
    ) -> None:
        """An operation of one of its sequences has ended."""
        facts = {"size": size, "core": self.index, "highest": self.cells.highest}
        self.out.append(lease.Done(op, sequence.q, len(sequence.cells), error, scores or [], **facts))

    def pack(self, message: lease.Pack) -> None:
        """Close holes."""
        holdings = {each.q: each.cells for each in self.sequences}
        moved = 0
        for run in self.cells.above(holdings, message.most):
            self.cells.move(run, holdings)
            moved += run.end - run.start
        self.extra += self.options.save
        self.out.append(lease.Done(message.op, 0, moved, core=self.index, highest=self.cells.highest))

    # Leases.

    def end(self, sequence: Sequence, why: str) -> None:
        """Its lease ends: q is quiet."""
        sequence.upto = None
        sequence.halted += 1
        logprob, sequence.logprob = sequence.logprob, 0.0
        self.out.append(
            lease.Halted(sequence.q, sequence.halted, len(sequence.log), why, sequence.matcher.safe, "", logprob)
        )

    def settle(self, sequence: Sequence) -> None:
        """End a lease that is served."""
        if sequence.upto is not None and sequence.upto <= len(sequence.log) and len(sequence.cells) >= sequence.target:
            self.end(sequence, lease.LIMIT)

    # Steps.

    def begin(self) -> Plan | None:
        """The next step, or None when nobody has anything to compute."""
        ready = [each for each in self.sequences if not each.quiet]
        parts = [(each, 1) for each in ready if each.target - len(each.cells) == 1 or self._alone(each)]
        ms = self.options.ms + self.options.each * max(0, len(parts) - 1) + self.options.cell * self.cells.highest
        chosen = {each.q for each, _ in parts}
        # As engine/plan.py does: the prompt that is done soonest first.
        waiting = [each for each in ready if each.q not in chosen]
        waiting.sort(key=lambda each: each.target - len(each.cells))
        bound = min([STEP_MAX_MS, *(each.pace for each, _ in parts if each.pace)])
        for place, each in enumerate(waiting):
            count = self._chunk(each, ms, bound, at_least=1 if place == 0 else 0)
            if count:
                ms += self.options.prefill * (count - 1) + (self.options.each if parts else 0.0)
                parts.append((each, count))
        need = sum(count for _, count in parts)
        rule(need <= self.cells.free, "nocell", "a step of {} positions, {} cells are free", need, self.cells.free)
        if not parts:
            return None
        self.steps += 1
        ms, self.extra = ms + self.extra, 0.0
        return Plan(self.index, self.steps, ms, tuple(parts))

    def _alone(self, sequence: Sequence) -> bool:
        return len(sequence.cells) < sequence.single

    def _chunk(self, sequence: Sequence, ms: float, bound: float, at_least: int) -> int:
        """Positions of a prefill that a step of `ms` so far, and `bound` in all, can take."""
        left = sequence.target - len(sequence.cells)
        if sequence.exact:
            return min(left, EXACT - len(sequence.cells) % EXACT)
        room = (bound - ms - self.options.each) / max(self.options.prefill, 1e-6)
        return min(left, max(at_least, int(room)))

    def finish(self, plan: Plan) -> None:
        """Account the step: its record first, then the leases and scores that it ended."""
        first = len(self.out)
        rows: list[lease.Row] = []
        fed: list[tuple[int, int]] = []
        for sequence, count in plan.parts:
            new = count - (1 if sequence.made and len(sequence.cells) == len(sequence.log) - 1 else 0)
            if new:
                fed.append((sequence.q, new))
            self.grow(sequence, count)
            self._after(sequence, rows)
        self.out.insert(first, self.told(plan, rows, fed))

    def told(self, plan: Plan, rows: list[lease.Row], fed: list[tuple[int, int]]) -> lease.Step:
        """The record of a step."""
        cells = self.cells
        return lease.Step(self.index, plan.no, plan.ms, rows, fed, cells.used, plan.threads, plan.busy, cells.highest)

    def _after(self, sequence: Sequence, rows: list[lease.Row]) -> None:
        if sequence.scoring is not None:
            if len(sequence.cells) == len(sequence.log):
                self._scored(sequence, sequence.scoring)
        elif len(sequence.cells) == len(sequence.log):
            self._sample(sequence, rows)
        else:
            self.settle(sequence)

    def _scored(self, sequence: Sequence, message: lease.Score) -> None:
        sequence.scoring = None
        self.release(sequence, len(sequence.log) - 1)
        scores = [score(bytes(sequence.log), bytes(label)) for label in message.labels]
        self.done(message.op, sequence, scores=scores)

    def _sample(self, sequence: Sequence, rows: list[lease.Row]) -> None:
        token, why = self._next(sequence)
        if why:
            self.release(sequence, len(sequence.log) - 1)
            return self.end(sequence, why)
        position = len(sequence.log)
        sequence.log.append(token)
        sequence.made = True
        sequence.matcher.feed(token)
        if sequence.sampling.rated:
            sequence.logprob -= mix(sequence.sampling.seed, position) % 997 / 400
        rows.append((sequence.q, position, token, bytes([token]), sequence.matcher.safe))
        if sequence.matcher.stopped:
            return self.end(sequence, lease.STOP)
        return self.settle(sequence)

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
        faults = self.cells.check([each.cells for each in self.sequences])
        for each in self.sequences:
            if len(each.cells) > len(each.log):
                faults.append(f"q {each.q}: {len(each.cells)} cells for a length of {len(each.log)}")
            if each.upto is not None and each.scoring is not None:
                faults.append(f"q {each.q}: leased and scoring")
        return faults
