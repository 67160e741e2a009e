"""Tiny random models whose memory is not one cell a token: recurrent, hybrid, with a sliding window.

The vocabulary is that of tinymodel.py. The same seed gives the same file.
"""

from pathlib import Path

import gguf
import numpy as np

from tests.support.tinymodel import HEADS, INNER, LAYERS, WIDTH, begin, finish, words

KINDS = ("recurrent", "hybrid", "sliding")
WINDOW = 32
"""Tokens that the sliding kind's first layer sees."""
_HEAD = WIDTH // HEADS
_STATE, _RANK, _KERNEL = 8, 4, 4


class _Weights:
    """Random tensors."""

    def __init__(self, writer: gguf.GGUFWriter, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._writer = writer

    def normal(self, name: str, *shape: int, scale: float = 0.25) -> None:
        self._writer.add_tensor(name, self.random.normal(0, scale, shape).astype(np.float32))

    def same(self, name: str, *shape: int, value: float = 1.0) -> None:
        self._writer.add_tensor(name, np.full(shape, value, np.float32))

    def words(self, name: str) -> None:
        self._writer.add_tensor(name, words(self.random))

    def forward(self, layer: str, scale: float = 0.25) -> None:
        """The part after attention that all but mamba have."""
        self.same(f"{layer}ffn_norm.weight", WIDTH)
        self.normal(f"{layer}ffn_gate.weight", INNER, WIDTH, scale=scale)
        self.normal(f"{layer}ffn_up.weight", INNER, WIDTH, scale=scale)
        self.normal(f"{layer}ffn_down.weight", WIDTH, INNER, scale=scale)

    def attention(self, layer: str, scale: float = 0.25) -> None:
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            self.normal(f"{layer}{part}.weight", WIDTH, WIDTH, scale=scale)


def make(path: Path, kind: str, *, ctx: int = 2048, seed: int = 1) -> Path:
    """Write a model of one of KINDS."""
    {"recurrent": _mamba, "hybrid": _lfm2, "sliding": _gemma2}[kind](path, ctx, seed)
    return path


def _mamba(path: Path, ctx: int, seed: int) -> None:
    inner = 2 * WIDTH
    writer = begin(path, "mamba", ctx=ctx)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(_KERNEL)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(_STATE)
    writer.add_ssm_time_step_rank(_RANK)
    weights = _Weights(writer, seed)
    weights.words("token_embd.weight")
    weights.words("output.weight")
    weights.same("output_norm.weight", WIDTH)
    for number in range(LAYERS):
        layer = f"blk.{number}."
        weights.same(f"{layer}attn_norm.weight", WIDTH)
        weights.normal(f"{layer}ssm_in.weight", 2 * inner, WIDTH)
        weights.normal(f"{layer}ssm_conv1d.weight", inner, _KERNEL)
        weights.same(f"{layer}ssm_conv1d.bias", inner, value=0.1)
        weights.normal(f"{layer}ssm_x.weight", _RANK + 2 * _STATE, inner)
        weights.normal(f"{layer}ssm_dt.weight", inner, _RANK)
        weights.same(f"{layer}ssm_dt.bias", inner, value=0.1)
        weights.same(f"{layer}ssm_a", inner, _STATE, value=-0.2)
        weights.same(f"{layer}ssm_d", inner)
        weights.normal(f"{layer}ssm_out.weight", WIDTH, inner)
    finish(writer)


def _lfm2(path: Path, ctx: int, seed: int) -> None:
    """The first layer has a state, the second attention."""
    writer = begin(path, "lfm2", ctx=ctx)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv([0, HEADS])
    writer.add_shortconv_l_cache(3)
    writer.add_rope_dimension_count(_HEAD)
    weights = _Weights(writer, seed)
    weights.words("token_embd.weight")
    weights.same("token_embd_norm.weight", WIDTH)
    for number in range(LAYERS):
        layer = f"blk.{number}."
        weights.same(f"{layer}attn_norm.weight", WIDTH)
        if number:
            weights.attention(layer)
            weights.same(f"{layer}attn_q_norm.weight", _HEAD)
            weights.same(f"{layer}attn_k_norm.weight", _HEAD)
        else:
            weights.normal(f"{layer}shortconv.conv.weight", WIDTH, 3)
            weights.normal(f"{layer}shortconv.in_proj.weight", 3 * WIDTH, WIDTH)
            weights.normal(f"{layer}shortconv.out_proj.weight", WIDTH, WIDTH)
        weights.forward(layer)
    finish(writer)


def _gemma2(path: Path, ctx: int, seed: int) -> None:
    """The first layer sees WINDOW tokens, the second all. Its output is its embedding: what the layers add has to
    outweigh the token it is added to, or that token would follow itself for ever."""
    writer = begin(path, "gemma2", ctx=ctx)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_key_length(_HEAD)
    writer.add_value_length(_HEAD)
    writer.add_sliding_window(WINDOW)
    weights = _Weights(writer, seed)
    weights.words("token_embd.weight")
    weights.same("output_norm.weight", WIDTH)
    for number in range(LAYERS):
        layer = f"blk.{number}."
        weights.same(f"{layer}attn_norm.weight", WIDTH)
        weights.attention(layer, 0.6)
        weights.same(f"{layer}post_attention_norm.weight", WIDTH, value=40.0)
        weights.forward(layer, 0.6)
        weights.same(f"{layer}post_ffw_norm.weight", WIDTH, value=40.0)
    finish(writer)
