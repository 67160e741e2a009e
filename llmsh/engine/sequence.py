"""One sequence q: its log, its lease, and what of it is in cells. The rules of docs/leases.md that
concern a single sequence are here.

It calls no llama.cpp and sends nothing: it says what has become of a message.
"""

from array import array
from typing import TYPE_CHECKING

from llmsh.abi import lease
from llmsh.engine.image import Image
from llmsh.engine.score import Scoring

if TYPE_CHECKING:  # an answer's grammar loads llama.cpp, which the rules of leases do not need
    from llmsh.engine.answer import Answer

EXACT_CUT = 32
"""Exact sequences are prefilled in pieces between absolute multiples of this (a divisor of 256)."""


class Sequence:
    """Leased while `upto` is not None; quiet otherwise, unless labels are being scored."""

    # As in answer.py.
    __slots__ = (
        "alone",
        "answer",
        "cells",
        "computed",
        "core",
        "exact",
        "fault",
        "fed",
        "halted",
        "image",
        "interrupted",
        "log",
        "pace",
        "q",
        "saved",
        "saved_at",
        "scoring",
        "singles",
        "slot",
        "spilled",
        "upto",
    )

    def __init__(self, q: int, core: int, exact: bool) -> None:
        self.q = q
        self.core = core
        self.exact = exact
        self.log: array[int] = array("i")
        self.fed = 0
        """Tokens of the log before this position were fed, those after it sampled here."""
        self.singles: list[tuple[int, int]] = []
        """Spans of an exact log that are computed one token a decode, before `fed`."""
        self.computed = 0
        """Cells hold the log before this position."""
        self.cells: array[int] = array("i")
        """Which they are, by position."""
        self.slot: int | None = None
        self.image: Image | None = None
        self.saved = -1
        """Where the image ends; -1: not saved."""
        self.spilled = 0
        """Bytes of the image when it is in the swap file, 0 otherwise."""
        self.saved_at = 0
        """Where it begins: what is before is shared with others."""
        self.answer: Answer | None = None
        self.upto: int | None = None
        self.pace = 0.0
        """Milliseconds that a step should take at most in which it makes a token; 0: no matter."""
        self.halted = 0
        """HALTED sent for this sequence."""
        self.scoring: Scoring | None = None
        self.fault = ""
        """What the kernel did against the rules; told when a lease comes."""
        self.interrupted = False
        """A step of the prompt being computed was aborted."""
        self.alone = False
        """Its last step failed among others: the next is its own."""

    @property
    def leased(self) -> bool:
        """Whether it may be extended."""
        return self.upto is not None

    @property
    def quiet(self) -> bool:
        """Whether FEED, CUT, SAVE, LOAD and SCORE may come."""
        return self.upto is None and self.scoring is None

    @property
    def working(self) -> bool:
        """Whether a step has anything to do for it."""
        return self.upto is not None or self.scoring is not None

    def feed(self, at: int, tokens: list[int], single: bool, size: int) -> None:
        """Append tokens; `size` is that of the vocabulary."""
        if at != len(self.log):
            self.fault = f"feed at {at}, the log is {len(self.log)} long"
        elif tokens and not 0 <= min(tokens) <= max(tokens) < size:
            self.fault = f"feed of a token outside the vocabulary of {size}"
        else:
            if self.exact and at > self.fed:
                self.singles.append((self.fed, at))
            if self.exact and single and tokens:
                self.singles.append((at, at + len(tokens)))
            self.log.extend(tokens)
            self.fed = len(self.log)
            self.interrupted = False

    def forget(self, at: int) -> None:
        """Tokens from position `at` on are no more."""
        del self.log[at:]
        self.fed = min(self.fed, at)
        self.singles = cut_spans(self.singles, at)
        if self.answer is not None and self.answer.taken > at:
            self.drop_answer()

    def forget_image(self) -> None:
        """It is not saved."""
        self.image, self.saved, self.saved_at, self.spilled = None, -1, 0, 0

    def adopt(self, computed: int, at: int, size: int) -> str:
        """An image of positions `at` to `computed` - 1 lies in the swap file, in so many bytes; empty, or what is
        wrong."""
        if self.computed or self.saved >= 0 or not 0 <= at < computed <= len(self.log) or size < 1:
            return f"an image of {at} to {computed} in {size} bytes, the log is {len(self.log)} long"
        # The log may have grown since: as where it grows behind cells, an exact chunk begins anew.
        self.saved = self.boundary(computed) if self.exact else computed
        self.saved_at, self.spilled = at, size
        return ""

    def drop_answer(self) -> None:
        """The answer is over, or another begins."""
        if self.answer is not None:
            self.answer.close()
            self.answer = None

    def bound(self, context: int) -> int:
        """The length at which the lease is served."""
        return min(self.upto, context) if self.upto is not None else 0

    def grows(self, context: int) -> bool:
        """Whether the next thing its lease wants is a token (after what is not computed yet)."""
        return len(self.log) < self.bound(context)

    def target(self, context: int) -> int:
        """How many positions must be in cells before the lease or the score goes on."""
        whole = self.scoring is not None or self.grows(context)
        return len(self.log) if whole else max(0, len(self.log) - 1)

    def _run(self, pos: int) -> tuple[int, int]:
        """The run of input that a position of an exact log belongs to; (pos, pos) in a single span."""
        start, end = 0, self.fed
        for first, last in self.singles:
            if first <= pos < last:
                return pos, pos
            if pos < first:
                end = min(end, first)
                break
            start = last
        return (start, end) if pos < end else (pos, pos)

    def chunk_end(self, end: int) -> int:
        """Where an exact sequence's next chunk ends, at `end` at most.

        A function of the log alone, so that nothing else changes the rounding: generated tokens one
        by one, input between absolute multiples of EXACT_CUT, and the last token of a run of input
        alone, since it may have been computed ahead of the lease or after it."""
        start = self.computed
        _, last = self._run(start)
        if start >= last - 1:
            return min(end, start + 1)
        return min(end, last - 1, (start // EXACT_CUT + 1) * EXACT_CUT)

    def boundary(self, pos: int) -> int:
        """The last place at or before `pos` where a chunk of an exact log can end."""
        first, last = self._run(pos)
        if pos >= last - 1:
            return pos
        return max(first, pos // EXACT_CUT * EXACT_CUT)

    def end(self, why: str, detail: str = "") -> lease.Halted:
        """The lease ends."""
        self.upto = None
        self.halted += 1
        safe = self.answer.matcher.safe if self.answer is not None else 0
        logprob = self.answer.rating() if self.answer is not None else 0.0
        return lease.Halted(self.q, self.halted, len(self.log), why, safe, detail, logprob)


def cut_spans(spans: list[tuple[int, int]], at: int) -> list[tuple[int, int]]:
    """What of the spans lies before `at`."""
    return [(start, min(end, at)) for start, end in spans if start < at]
