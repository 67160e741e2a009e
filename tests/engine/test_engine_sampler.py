"""The sampler against definitions written down plainly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.lease import Sampling
from llmsh.engine.sampler import DeadEnd, Floats, Sampler, log_softmax, uniform

SIZE = 50


def row(seed: int = 1, scale: float = 3.0) -> Floats:
    return np.random.default_rng(seed).normal(0, scale, SIZE).astype(np.float32)


def candidates(logits: Floats, top_k: int, top_p: float, min_p: float) -> list[int]:
    """The definition: sort, keep k, keep the nucleus, keep what is likely enough."""
    kept = sorted(range(SIZE), key=lambda i: (-logits[i], i))[: top_k or SIZE]
    p = np.exp(logits[kept].astype(np.float64) - float(logits[kept[0]]))
    total, nucleus = 0.0, 0
    while nucleus < len(kept) and total < top_p * p.sum():
        total += p[nucleus]
        nucleus += 1
    return [token for token, weight in zip(kept, p, strict=True)][: max(1, min(nucleus, int((p >= min_p).sum())))]


@given(
    st.integers(0, 1000),
    st.sampled_from([0, 1, 2, 5, 40]),
    st.sampled_from([0.3, 0.9, 1.0]),
    st.sampled_from([0.0, 0.05, 0.5]),
)
def test_only_candidates_are_drawn(seed: int, top_k: int, top_p: float, min_p: float) -> None:
    logits = row(seed)
    allowed = set(candidates(logits, top_k, top_p, min_p))
    sampler = Sampler(Sampling(temperature=2.0, top_k=top_k, top_p=top_p, min_p=min_p, seed=seed), SIZE)
    assert {sampler.pick(logits.copy(), position) for position in range(60)} <= allowed


def test_tokens_come_as_often_as_their_probability_says() -> None:
    logits = row(scale=1.0)
    sampler = Sampler(Sampling(temperature=0.7, top_k=0, top_p=1.0, min_p=0.0, seed=9), SIZE)
    drawn = np.bincount([sampler.pick(logits, position) for position in range(20_000)], minlength=SIZE) / 20_000
    expected = np.exp(log_softmax((logits / 0.7).astype(np.float32)))
    assert np.abs(drawn - expected).max() < 0.01


def test_numbers_depend_on_seed_and_position_and_on_nothing_else() -> None:
    grid = {(seed, position): uniform(seed, position) for seed in range(40) for position in range(40)}
    assert len(set(grid.values())) == len(grid)
    assert all(0 <= value < 1 for value in grid.values())
    assert uniform(-1, 3) == uniform((1 << 64) - 1, 3)
    assert grid[7, 9] == uniform(7, 9)


def test_temperature_zero_and_top_k_one_take_the_best() -> None:
    logits = row()
    assert Sampler(Sampling(), SIZE).pick(logits, 3) == int(logits.argmax())
    assert Sampler(Sampling(temperature=5.0, top_k=1), SIZE).pick(logits, 3) == int(logits.argmax())


def test_penalties_are_llama_cpps() -> None:
    logits = row()
    expected = logits.copy()
    for token, count in ((3, 2), (7, 1)):
        expected[token] = expected[token] * 1.5 if expected[token] <= 0 else expected[token] / 1.5
        expected[token] -= count * 0.2 + 0.1
    sampling = Sampling(repeat_penalty=1.5, frequency_penalty=0.2, presence_penalty=0.1, penalty_last=3)
    Sampler(sampling, SIZE).prepare(logits, [9, 9, 3, 7, 3])
    assert logits == pytest.approx(expected)


def test_bias_is_added_and_banned_tokens_never_come() -> None:
    logits = row()
    sampler = Sampler(Sampling(logit_bias={4: 100.0, 5: 200.0, 999: 1.0}), SIZE, frozenset({5}))
    sampler.prepare(logits, [])
    assert sampler.pick(logits, 0) == 4


@pytest.mark.parametrize("value", [-math.inf, math.nan])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_without_a_token_is_a_dead_end(value: float, temperature: float) -> None:
    with pytest.raises(DeadEnd):
        Sampler(Sampling(temperature=temperature), SIZE).pick(np.full(SIZE, value, np.float32), 0)


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 40, 1000, 1023, 1024, 5000]), st.sampled_from([1024, 3000, 5000]))
def test_the_best_are_found_in_a_large_vocabulary(seed: int, k: int, size: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, size).astype(np.float32).round(1)
    logits[::7] = -math.inf
    best = np.lexsort((np.arange(size), -logits))[:k]
    sampler = Sampler(Sampling(temperature=1.0, top_k=k), size)
    assert list(sampler._top(logits)) == [token for token in best if logits[token] > -math.inf]
