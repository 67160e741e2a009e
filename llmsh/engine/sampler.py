"""Chooses the next token from one row of logits. Randomness is f(seed, position): a sequence that is
computed again draws the same numbers.

The order is llama.cpp's: bias, penalties, top-k, top-p, min-p, temperature. Done with numpy on a view
of llama.cpp's own row: copying a vocabulary of 49,152 candidates into a C array costs more than all
of it. It knows no model and no sequence.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from llmsh.abi.lease import Sampling

Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.intp]]

_UNBIASED: tuple[Ints, Floats] = (np.empty(0, np.intp), np.empty(0, np.float32))
_MASK = (1 << 64) - 1
_COLUMNS = 1024
"""The vocabulary as a table of so many columns, to find the best k without sorting all of it."""


class DeadEnd(Exception):  # an end, not a fault
    """No token can be chosen: every logit is -inf, or they are no numbers."""


def _mix(x: int) -> int:
    """splitmix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number generators)."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
    return x ^ (x >> 31)


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) for this seed at this position of the log."""
    x = _mix((seed & _MASK) + 0x9E3779B97F4A7C15 & _MASK)
    return (_mix(x + position * 0x9E3779B97F4A7C15 & _MASK) >> 11) * 2.0**-53


def log_softmax(row: Floats) -> Doubles:
    """Log-probabilities of a row, in 64 bits."""
    x = row.astype(np.float64)
    x -= x.max()
    x -= math.log(np.exp(x).sum())
    return x


class Sampler:
    """One answer's choice of tokens. `ban` are tokens that may not come (the ends of a text)."""

    __slots__ = ("_bias", "_biased", "_greedy", "_penalties", "_s")

    def __init__(self, sampling: Sampling, size: int, ban: frozenset[int] = frozenset()) -> None:
        self._s = sampling
        self._greedy = sampling.temperature <= 0 or sampling.top_k == 1
        bias = {token: value for token, value in sampling.logit_bias.items() if 0 <= token < size}
        bias.update(dict.fromkeys(ban, -math.inf))
        self._biased, self._bias = _UNBIASED
        if bias:
            self._biased = np.fromiter(bias.keys(), np.intp, len(bias))
            self._bias = np.fromiter(bias.values(), np.float32, len(bias))
        self._penalties = sampling.penalty_last != 0 and (
            sampling.repeat_penalty != 1.0 or sampling.frequency_penalty != 0.0 or sampling.presence_penalty != 0.0
        )

    def prepare(self, row: Floats, log: Sequence[int]) -> None:
        """Bias and penalties, in place; once for each row."""
        if self._biased.size:
            row[self._biased] += self._bias
        if self._penalties:
            last = self._s.penalty_last
            seen = Counter(log[-last:] if last > 0 else log)
            ids = np.fromiter(seen.keys(), np.intp, len(seen))
            values = row[ids]
            if self._s.repeat_penalty != 1.0:
                factor = np.float32(self._s.repeat_penalty)
                values = np.where(values > 0, values / factor, values * factor)
            if self._s.frequency_penalty != 0.0:
                values -= np.fromiter(seen.values(), np.float32, len(seen)) * np.float32(self._s.frequency_penalty)
            row[ids] = values - np.float32(self._s.presence_penalty)

    def pick(self, row: Floats, position: int) -> int:
        """The token for this position. Raises DeadEnd."""
        if self._greedy:
            token = int(row.argmax())
            if not math.isfinite(row[token]):
                raise DeadEnd
            return token
        ids = self._top(row)
        logits = row[ids].astype(np.float64)
        keep = self._nucleus(logits)
        weights = np.exp((logits[:keep] - logits[0]) / self._s.temperature)
        edges = weights.cumsum()
        drawn = int(np.searchsorted(edges, uniform(self._s.seed, position) * edges[-1], side="right"))
        return int(ids[min(drawn, keep - 1)])

    def _top(self, row: Floats) -> Ints:
        """The top-k tokens, best first, lower ids first among equals."""
        k = self._s.top_k if 0 < self._s.top_k < row.size else row.size
        ids = _near(row, k)
        ids = ids[row[ids] > -math.inf]
        if not ids.size:
            raise DeadEnd
        return ids[np.argsort(-row[ids], kind="stable")[:k]]

    def _nucleus(self, logits: Doubles) -> int:
        """How many of the sorted candidates top-p and min-p leave, at least 1."""
        keep = logits.size
        if self._s.top_p < 1.0:
            p = np.exp(logits - logits[0])
            keep = int(np.searchsorted(p.cumsum(), self._s.top_p * p.sum(), side="left")) + 1
        if self._s.min_p > 0.0:
            keep = min(keep, int(np.count_nonzero(logits >= logits[0] + math.log(self._s.min_p))))
        return max(1, min(keep, logits.size))


def _near(row: Floats, k: int) -> Ints:
    """Tokens in order of their ids among which the best k are, not many more than needed.

    The k-th best of the columns' maxima is no better than the k-th best token: what is below it can
    be left out, and only columns with a maximum above it are looked at."""
    whole = row.size // _COLUMNS * _COLUMNS
    if whole == 0 or k >= _COLUMNS:
        return np.arange(row.size)
    table = row[:whole].reshape(-1, _COLUMNS)
    best = table.max(axis=0)
    least = np.partition(best, _COLUMNS - k)[_COLUMNS - k]
    columns = np.flatnonzero(best >= least)
    lines, found = np.nonzero(table[:, columns] >= least)
    ids = lines * _COLUMNS + columns[found]
    return np.concatenate((ids, np.arange(whole, row.size)))
