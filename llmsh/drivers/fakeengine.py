"""The messages of the fake engine: what each does to a sequence, as abi/lease.py and docs/leases.md rule.

It knows no clock and no channel: `take` a message between two steps, `begin` a step, `finish` or `undo`
it; `said` gives what it answers. What only a bug of the kernel can send raises ProtocolError.
"""

from llmsh.abi import lease
from llmsh.drivers.fakecore import CELL_BYTES, FakeCore, Options, Plan, Sequence, rule
from llmsh.drivers.fakemeasure import Measures
from llmsh.drivers.faketext import EOS, Matcher, Words, Writer

ELSEWHERE = -1
"""Where an image lies that an engine before this one has written."""
SwapFile = dict[int, tuple[int, bytes]]
"""By offset: the size of an image, and of which tokens it is."""


class FakeEngine:
    """One incarnation: options.cores shared cores, and EXACT, which takes one sequence at a time."""

    def __init__(self, options: Options, writer: Writer | None = None, file: SwapFile | None = None) -> None:
        self.options = options
        self.file: SwapFile = {} if file is None else file
        writer = writer or Words(options.answer)
        self.cores = {
            index: FakeCore(index, options.cells, options.sequences, options, writer) for index in range(options.cores)
        }
        self.cores[lease.EXACT] = FakeCore(lease.EXACT, options.longest, 1, options, writer)
        self.sequences: dict[int, Sequence] = {}
        self.ignored = 0
        self.transfers: list[lease.Transfer] = []
        """What was read and written, in order."""
        self._names: set[int] = set()
        self._exact_next = True
        self._out: list[lease.FromEngine] = []
        for core in self.cores.values():
            core.out = self._out
        self._measures = Measures(options, self.cores, self._out)

    def said(self) -> list[lease.FromEngine]:
        """What was said since it was last asked."""
        out = list(self._out)
        self._out.clear()
        return out

    # Steps.

    def begin(self, place: int) -> Plan | None:
        """The next step of a core, or of its measurement."""
        working = {each.core for each in self.sequences.values() if not each.quiet}
        plan = self._begin(place)
        if plan is not None:
            return self._measures.scaled(plan, max(1, len(working - {lease.EXACT})))
        return self._measures.begin(place, wanted=bool(working))

    def _begin(self, place: int) -> Plan | None:
        """The first core takes turns with EXACT."""
        if place:
            return self.cores[place].begin()
        for index in (lease.EXACT, 0) if self._exact_next else (0, lease.EXACT):
            plan = self.cores[index].begin()
            if plan is not None:
                self._exact_next = index == 0
                return plan
        return None

    def finish(self, plan: Plan) -> None:
        """The step has been computed."""
        self.cores[plan.core].finish(plan)
        if not plan.parts:
            self._measures.finish(plan)

    def undo(self, plan: Plan) -> None:
        """The step was aborted: nothing of it happened, but its number is used."""
        self._out.append(self.cores[plan.core].told(plan, [], []))
        if not plan.parts:
            self._measures.undo(plan)

    def check(self) -> list[str]:
        """Faults of the books; empty when they are right."""
        return [fault for core in self.cores.values() for fault in core.check()]

    # Messages.

    def take(self, message: lease.ToEngine) -> None:
        """Do what one message asks, between two steps."""
        if isinstance(message, lease.Threads | lease.Measure):
            self._measures.take(message)
        elif isinstance(message, lease.Transfer):
            self._transfer(message)
        elif isinstance(message, lease.Pack):
            rule(message.core in range(self.options.cores), message, "no such core")
            self.cores[message.core].pack(message)
        elif isinstance(message, lease.Open):
            rule(message.core in self.cores, message, "no such core")
            self._add(message, message.q, self.cores[message.core], message.exact)
        else:
            rule(message.q in self.sequences, message, "no such sequence")
            self._dispatch(self.sequences[message.q], message)

    def _add(self, message: lease.ToEngine, q: int, core: FakeCore, exact: bool) -> Sequence:
        rule(q not in self._names, message, "q was used before")
        self._names.add(q)
        sequence = self.sequences[q] = Sequence(q, core.index, exact)
        core.sequences.append(sequence)
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
                core = self.cores[sequence.core]
                core.release(sequence, 0)
                core.sequences.remove(sequence)
                del self.sequences[sequence.q]
                if sequence.scoring is not None:
                    core.done(sequence.scoring.op, sequence, "dropped")
                core.done(message.op, sequence)
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
            case lease.Move():
                self._move(sequence, message)
            case lease.Load():
                self._load(sequence, message)
            case lease.Adopt():
                self._adopt(sequence, message)
            case lease.Score():
                rule(bool(sequence.log) and not sequence.saved, message, "nothing fed, or saved and not loaded")
                self._pending(sequence)
                sequence.scoring = message

    def _transfer(self, message: lease.Transfer) -> None:
        """Images to the swap file or back, side by side, and nothing over what is there; `ms` says how long it is
        to take."""
        self.transfers.append(message)
        at = message.offset
        for q in message.qs:
            rule(q in self.sequences, message, "no such sequence")
            each = self.sequences[q]
            self._spill(message, each, at)
            at += each.size
        ms = (at - message.offset) / 1024 * self.options.disk
        self._out.append(lease.Done(message.op, 0, ms=ms))

    def _spill(self, message: lease.Transfer, each: Sequence, at: int) -> None:
        tokens = bytes(each.log[each.behind : each.behind + each.image])
        if message.write:
            rule(each.saved and each.spilled is None, message, "q {} is at {}", each.q, each.spilled)
            self.file[at] = (each.size, tokens)
            each.spilled = at
            return
        rule(each.saved and each.spilled in (at, ELSEWHERE), message, "q {} is at {}", each.q, each.spilled)
        size, there = self.file.get(at, (0, b""))
        rule(size == each.size and there.startswith(tokens), message, "the image at {} is another", at)
        each.spilled = None

    def _adopt(self, sequence: Sequence, message: lease.Adopt) -> None:
        right = 0 <= message.at < message.computed <= len(sequence.log) and message.size > 0
        rule(right and not (sequence.saved or sequence.cells), message, "the log is {} long", len(sequence.log))
        sequence.saved, sequence.spilled, sequence.size = True, ELSEWHERE, message.size
        sequence.behind, sequence.image = message.at, message.computed - message.at
        self.cores[sequence.core].done(message.op, sequence)

    def _lease(self, sequence: Sequence, message: lease.Lease) -> None:
        if message.n != sequence.halted:
            self.ignored += 1
            return
        sequence.pace = message.ms
        rule(bool(sequence.log), message, "nothing was fed")
        rule(not sequence.saved, message, "saved and not loaded")
        if sequence.upto is None:
            rule(sequence.scoring is None, message, "q is scoring")
            rule(message.upto >= len(sequence.log), message, "length is {} already", len(sequence.log))
            sequence.upto = message.upto
        else:
            sequence.upto = max(sequence.upto, message.upto)
        rule(sequence.upto <= len(sequence.log) or sequence.at >= 0, message, "no answer was begun")
        rule(sequence.upto <= self.options.longest, message, "the context is {}", self.options.longest)
        self._pending(sequence)
        if sequence.upto > len(sequence.log) and sequence.matcher.stopped:
            # The log says already that the answer ended: the engine that saw it died before it said so.
            self.cores[sequence.core].end(sequence, lease.STOP)
            return
        self.cores[sequence.core].settle(sequence)

    def _pending(self, sequence: Sequence) -> None:
        """The last token of a log is always computed for what follows it."""
        self.cores[sequence.core].release(sequence, len(sequence.log) - 1)

    def _halt(self, sequence: Sequence, message: lease.Halt) -> None:
        if message.n != sequence.halted or sequence.upto is None:
            self.ignored += 1
            return
        self.cores[sequence.core].end(sequence, lease.REVOKED)

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
        self.cores[sequence.core].release(sequence, max(0, message.at - 1))
        keep = max(0, message.at - 1)
        sequence.behind = min(sequence.behind, keep)
        sequence.image = min(sequence.image, keep - sequence.behind)
        sequence.made = False
        if sequence.at > message.at:
            sequence.at = -1
        self.cores[sequence.core].done(message.op, sequence)

    def _fork(self, sequence: Sequence, message: lease.Fork) -> None:
        rule(0 <= message.at <= len(sequence.log), message, "length is {}", len(sequence.log))
        core = self.cores[sequence.core]
        child = self._add(message, message.q2, core, sequence.exact)
        child.log = sequence.log[: message.at]
        child.single = min(sequence.single, message.at)
        if sequence.saved:
            rule(message.at == len(sequence.log), message, "an image is forked whole")
            rule(sequence.spilled is None, message, "its image is in the swap file")
            child.saved, child.image, child.behind = True, sequence.image, sequence.behind
            child.size = sequence.size
        else:
            core.share(sequence, child, message.at)
        core.done(message.op, child, size=child.size)

    def _save(self, sequence: Sequence, message: lease.Save) -> None:
        self._away(sequence, message.at)
        self.cores[sequence.core].done(message.op, sequence, size=sequence.size)

    def _away(self, sequence: Sequence, at: int) -> None:
        """Cells to an image."""
        core = self.cores[sequence.core]
        if not sequence.saved:
            sequence.size = (len(sequence.cells) - min(at, len(sequence.cells))) * CELL_BYTES
            sequence.behind = min(at, len(sequence.cells))
            sequence.image = len(sequence.cells) - sequence.behind
            sequence.saved = True
        core.release(sequence, 0)
        core.extra += self.options.save

    def _move(self, sequence: Sequence, message: lease.Move) -> None:
        shared = range(self.options.cores)
        rule(sequence.core in shared and message.core in shared, message, "from core {}", sequence.core)
        self._away(sequence, message.at)
        source = self.cores[sequence.core]
        source.sequences.remove(sequence)
        sequence.core = message.core
        self.cores[message.core].sequences.append(sequence)
        if not sequence.image + sequence.behind:
            sequence.saved = False
        source.done(message.op, sequence, size=sequence.size)

    def _load(self, sequence: Sequence, message: lease.Load) -> None:
        core = self.cores[sequence.core]
        if not sequence.saved:
            return core.done(message.op, sequence, "no image")
        rule(sequence.spilled is None, message, "its image is in the swap file")
        if sequence.behind:
            donor = self.sequences.get(message.donor)
            rule(donor is not None, message, "no such donor")
            assert donor is not None  # ruled
            rule(donor.core == sequence.core, message, "the donor is on core {}", donor.core)
            rule(len(donor.cells) >= sequence.behind, message, "the donor has {} cells", len(donor.cells))
            core.share(donor, sequence, sequence.behind)
        rule(sequence.image <= core.cells.free, message, "{} cells are free", core.cells.free)
        if sequence.image:
            core.grow(sequence, sequence.image)
        core.extra += self.options.save
        sequence.saved, sequence.image, sequence.behind = False, 0, 0
        return core.done(message.op, sequence)
