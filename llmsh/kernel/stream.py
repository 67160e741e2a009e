"""One generation stream of a process: its token log, and what the engine knows of it.

The log is the truth; everything else here is a cache that a death of the engine voids. It posts no
message (core does) and knows no policy.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from llmsh.abi.lease import Sampling
from llmsh.kernel.holder import Holder
from llmsh.kernel.pipe import Pipe
from llmsh.kernel.sched import Goal, Task

if TYPE_CHECKING:
    from llmsh.kernel.quota import Quota

GENERATE, SCORE = "generate", "score"


class Client(Protocol):
    """Who owns a stream: hears what came of it."""

    def made(self, tokens: int, ms: float) -> None:
        """Tokens were appended and charged."""

    def rated(self, logprob: float) -> None:
        """The log-probability of tokens that were made; 0 when nobody asked for it."""

    def computed(self, tokens: int, ms: float) -> None:
        """Input tokens were computed and charged."""

    def released(self, data: bytes) -> None:
        """Bytes of the answer that nothing can claim any more."""

    def answered(self, why: str) -> None:
        """The answer ended."""

    def scored(self, scores: list[float]) -> None:
        """The labels' sums of log-probabilities."""

    def faulted(self, detail: str) -> None:
        """The stream cannot go on, and only it."""

    def wake(self) -> None:
        """The engine is there again: ask for tokens if there is a goal."""

    def blocked(self, wchan: str) -> None:
        """The stream waits for this, or for nothing when empty."""

    @property
    def away(self) -> bool:
        """Whether it waits for a person or a message, nobody knows how long, or is stopped."""


class Answer:
    """An answer being generated: where it starts, how far it may go, what of it is out."""

    __slots__ = ("at", "data", "end", "most", "safe", "sampling", "sent", "taken")

    def __init__(self, at: int, end: int, sampling: Sampling) -> None:
        self.at = at
        self.end = self.most = end
        """Length of the log at which it must end: now, and where no limit of cells is in the way."""
        self.sampling = sampling
        self.data = bytearray()
        self.taken = 0
        """Bytes released so far; data[taken:] is held back."""
        self.safe = 0
        self.sent = False
        """Whether the engine's incarnation knows of it."""

    def release(self, safe: int) -> bytes:
        """The bytes up to `safe` that were not released before."""
        self.safe = max(self.safe, min(safe, len(self.data)))
        out = bytes(self.data[self.taken : self.safe])
        self.taken = self.safe
        return out

    def flush(self) -> bytes:
        """All that is left: for an end that no stop string can claim."""
        return self.release(len(self.data))


class Stream(Holder):
    """A sequence of tokens, and its place in the engine."""

    # As in proc.py: thousands of them sleep.
    __slots__ = (
        "answer",
        "client",
        "exact",
        "goal",
        "halted",
        "halting",
        "hurried",
        "labels",
        "made",
        "moved",
        "on_quiet",
        "oom",
        "parent",
        "quotas",
        "reached",
        "sent",
        "sink",
        "suspect",
        "task",
        "upto",
    )

    client: Client
    """Set by who makes the stream, before anything can happen to it."""

    def __init__(self, ident: int, task: Task, exact: bool, key: str = "") -> None:
        # The truth.
        self.task = task
        self.exact = exact
        self.made = bytearray()
        """1 for each token of the log that was generated, 0 for input."""
        self.reached = 0
        """Tokens whose keys and values were ever computed: more than `computed` after a loss."""
        self.goal = ""
        self.answer: Answer | None = None
        self.labels: list[list[int]] = []
        self.sink: Pipe | None = None
        """Where the answer's bytes go, when that has a bound."""
        self.parent: Stream | None = None
        """Whose log it is a copy of, until it has what that has, or cannot have it."""
        self.oom = 0
        """oom_score_adj: of two that could leave the cells or lose an image, the one with the higher does."""
        self.quotas: Sequence[Quota] = ()
        """Limits of cells that concern it."""
        self.moved = 0.0
        """When it last went to another core."""
        self.hurried = False
        """A step of its prompt was aborted for somebody who came; it has no long ones any more."""
        self.suspect = False
        """It was in the step that the last engine died of."""
        self.on_quiet: list[Callable[[], None]] = []
        super().__init__(ident, key)

    def void(self) -> None:
        """See Holder. The engine is gone, or its copy is."""
        super().void()
        self.sent = 0
        """Length of the engine's log."""
        self.halted = 0
        self.upto = 0
        """Bound of the lease, 0 when quiet."""
        self.halting = False
        if self.answer is not None:
            self.answer.sent = False

    def quieten(self) -> None:
        """It is quiet: who waited for that goes on."""
        calls, self.on_quiet = self.on_quiet, []
        for call in calls:
            call()

    @property
    def left(self) -> int:
        """Tokens of its input that are not computed; the last is computed with what it makes next."""
        return max(0, len(self) - 1 - self.computed)

    def foresee(self, cost: float) -> None:
        """Its policy is to know what its input costs that is left, at so much a token; what is computed again does
        not count."""
        left = min(self.left, max(0, len(self) - 1 - self.reached)) * cost
        self.task.bound += left - self.task.ahead
        self.task.ahead = left

    @property
    def leased(self) -> bool:
        """Whether the engine may extend it."""
        return self.upto > 0

    def ahead(self, goal: Goal) -> float:
        """The work that is ahead of it for its goal: the same whether it has just been granted some of that or has just
        had to give it back."""
        return max(1.0, max(0.0, goal.left + max(0, self.upto - len(self))) + goal.input)

    @property
    def ready_to_score(self) -> bool:
        """Whether everything but the pending token is computed."""
        return self.computed >= len(self.log) - 1

    @property
    def lacking(self) -> int:
        """Cells that it lacks for its labels, once it is ready to score: the pending token has one, too."""
        return len(self) - self.computed + sum(map(len, self.labels))

    def append(self, tokens: list[int], made: bool = False) -> None:
        """Extend the log."""
        self.hurried = self.hurried and made
        self.log.extend(tokens)
        self.made.extend((b"\1" if made else b"\0") * len(tokens))

    def cut(self, at: int) -> None:
        """Shorten the log; cells and images behind it are worth nothing."""
        del self.log[at:]
        del self.made[at:]
        self.sent = min(self.sent, at)
        self.computed = min(self.computed, max(0, at - 1))
        self.reached = min(self.reached, max(0, at - 1))
        self.image = min(self.image, max(0, self.own))

    def common(self, tokens: list[int]) -> int:
        """How many leading tokens the log shares with these."""
        most = min(len(self.log), len(tokens))
        new = array("i", tokens[:most])
        if new == self.log[:most]:
            return most
        return next(index for index in range(most) if new[index] != self.log[index])

    def credit(self, token_bytes: int) -> int:
        """Tokens that the reader's room allows; an empty pipe always takes one."""
        if self.sink is None:
            return 1 << 30
        held = len(self.answer.data) - self.answer.taken if self.answer is not None else 0
        tokens = max(0, self.sink.room - held) // token_bytes
        return tokens if tokens or not self.sink.empty else 1

    def reach(self, most: int, token_bytes: int) -> int | None:
        """Rule 5: how far a lease of `most` tokens goes, by quantum, limits, context left and room in the reader's
        pipe. None when there is none."""
        length = len(self)
        if self.goal == SCORE:
            return length
        credit = self.credit(token_bytes) if self.answer is not None else 0
        if self.answer is None or not credit:
            return None
        return min(length + most, length + credit, self.answer.end)

    def runs(self, start: int) -> list[tuple[list[int], bool]]:
        """The log from `start` as runs of input and of generated tokens."""
        out: list[tuple[list[int], bool]] = []
        while start < len(self.log):
            flag = self.made[start]
            other = self.made.find(b"\0" if flag else b"\1", start)
            end = other if other >= 0 else len(self.log)
            out.append((self.log[start:end].tolist(), bool(flag)))
            start = end
        return out
