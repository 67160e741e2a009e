"""An answer under way: its sampler, grammar and stop matcher, which begin at a position of the log.

All three are caches of the log: made anew, they are brought up to date by what stands there. It
knows no cells and no lease.
"""

from collections.abc import Sequence

from llmsh.abi import lease
from llmsh.engine.grammar import Grammar
from llmsh.engine.matcher import Matcher
from llmsh.engine.model import Model
from llmsh.engine.sampler import DeadEnd, Floats, Sampler, log_softmax


class Answer:
    """Begins at position `at`. Raises ValueError for a grammar that cannot be parsed."""

    # Sequences and their answers sleep by the thousand: a dict for each would be a large part of them.
    __slots__ = ("_grammar", "_model", "_rated", "_sampler", "at", "logprob", "matcher", "over", "taken")

    def __init__(self, model: Model, at: int, sampling: lease.Sampling) -> None:
        self.at = at
        self.taken = at
        """Tokens of the log before this position are taken into account."""
        self.logprob = 0.0
        """Of what was chosen since it was last told; counted only when that is wanted."""
        self.over = ""
        """Why it ended, if what stood in the log says so: the engine that saw it died before it told."""
        self.matcher = Matcher(sampling.stop)
        self._rated = sampling.rated
        self._model = model
        self._sampler = Sampler(sampling, model.size, model.eog if sampling.ignore_eos else frozenset())
        self._grammar = Grammar(model, sampling.grammar) if sampling.grammar else None

    def catch_up(self, log: Sequence[int]) -> str:
        """Take what stands in the log; empty, or why it cannot belong to this answer."""
        if len(log) < self.at:
            return f"the answer begins at {self.at}, the log is {len(log)} long"
        while self.taken < len(log):
            token = log[self.taken]
            if token not in self._model.eog and not self._take(token):
                return f"token {token} at {self.taken} does not fit the grammar"
            self.taken += 1
            self.over = self._end(token)
        return ""

    def _end(self, token: int) -> str:
        """Why the answer ends with this token, which has been taken; empty when it does not."""
        if token in self._model.eog:
            return lease.EOS
        if self.matcher.stopped:
            return lease.STOP
        return lease.GRAMMAR if self._grammar is not None and self._grammar.ended() else ""

    def _take(self, token: int) -> bool:
        if self._grammar is not None and not self._grammar.accept(token):
            return False
        self.matcher.push(self._model.pieces[token])
        return True

    def choose(self, row: Floats, log: Sequence[int]) -> int:
        """The next token of the log, from its row of logits (which is changed). Raises DeadEnd."""
        likely = log_softmax(row) if self._rated else None
        self._sampler.prepare(row, log)
        token = self._sampler.pick(row, len(log))
        if self._grammar is not None and not self._grammar.permits(token):
            token = self._sampler.pick(self._grammar.mask(row), len(log))
        if likely is not None:
            self.logprob += float(likely[token])
        return token

    def rating(self) -> float:
        """The log-probability that has not been told yet, which now is."""
        logprob, self.logprob = self.logprob, 0.0
        return logprob

    def take(self, token: int) -> str:
        """A chosen token has been appended: why the answer ends with it, or empty."""
        self.taken += 1
        if token not in self._model.eog and not self._take(token):
            raise DeadEnd
        return self._end(token)

    def close(self) -> None:
        """Give the memory back."""
        if self._grammar is not None:
            self._grammar.close()
