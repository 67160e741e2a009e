"""The log-probability of labels after a log: one prefill, then the labels side by side.

The prompt's last row gives each label's first token. What follows is decoded in scratch slots that
share the prompt's cells, a group of labels at a time. It knows rows and tokens, no core.
"""

from typing import NamedTuple

from llmsh.engine.sampler import Doubles, Floats, log_softmax


class Part(NamedTuple):
    """One label of a group: the tokens to decode after the prompt."""

    label: int
    tokens: list[int]


class Scoring:
    """One SCORE under way."""

    def __init__(self, op: int, labels: list[list[int]]) -> None:
        self.op = op
        self.labels = labels
        self.scores = [0.0] * len(labels)
        self.prompted = False
        """Whether the prompt's own row has been seen."""
        self._next = 0

    def prompt(self, row: Floats) -> None:
        """The row after the prompt."""
        first = log_softmax(row)
        for i, label in enumerate(self.labels):
            if label:
                self.scores[i] = float(first[label[0]])
        self.prompted = True
        self._skip()

    def _skip(self) -> None:
        """Labels of one token are done with the prompt's row."""
        while self._next < len(self.labels) and len(self.labels[self._next]) < 2:
            self._next += 1

    @property
    def done(self) -> bool:
        """Whether every score is known."""
        return self.prompted and self._next >= len(self.labels)

    def group(self, slots: int, room: int) -> list[Part]:
        """The next labels: `slots` at most, and `room` tokens, but always one label."""
        parts: list[Part] = []
        at = self._next
        while at < len(self.labels) and len(parts) < slots:
            tokens = self.labels[at][:-1]
            if tokens:
                if parts and len(tokens) > room:
                    break
                parts.append(Part(at, tokens))
                room -= len(tokens)
            at += 1
        return parts

    def result(self, part: Part, rows: Floats) -> None:
        """The rows of one label's tokens, in order; groups come in order."""
        label = self.labels[part.label]
        for row, token in zip(rows, label[1:], strict=True):
            self.scores[part.label] += float(_at(log_softmax(row), token))
        self._next = part.label + 1
        self._skip()


def _at(row: Doubles, token: int) -> float:
    return float(row[token])
