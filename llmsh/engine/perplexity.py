"""How surprised a model is by a text: the loss of each token that is scored.

The text is cut into windows of equal length, each read anew; only its second half is scored, so that
every token scored has at least half a window before it. The perplexity is e to the mean of the losses.
Source: the method of llama.cpp's llama-perplexity, so that figures compare. It judges nothing.
"""

from typing import Any

import numpy as np

from llmsh.abi.errors import Error
from llmsh.engine.model import Model
from llmsh.engine.solo import Floats, Solo

WINDOW = 512
"""Tokens of a window, where the model was trained for as many."""
_PIECE = 64
"""Rows of logits at a time: of a vocabulary of 256,000 they take 66 MB."""


def window(model: Model) -> int:
    """Tokens of a window."""
    return min(WINDOW, model.trained) if model.trained > 0 else WINDOW


def losses(model: Model, tokens: list[int], number: int) -> list[float]:
    """Minus the natural logarithm of the probability of each token scored in window `number`, in order.
    Raises Error EINVAL beyond the last whole window, ENOMEM, EIO."""
    size = window(model)
    tokens = tokens[number * size : (number + 1) * size]
    if number < 0 or len(tokens) < size:
        raise Error("EINVAL", f"no window {number} in this text")
    read = [model.bos, *tokens[1:]] if model.add_bos else tokens
    half = size // 2
    solo = Solo(model, size)
    out: list[float] = []
    try:
        solo.feed(read[:half])
        for start in range(half, size - 1, _PIECE):
            end = min(start + _PIECE, size - 1)
            out += _losses(solo.feed(read[start:end], "all"), tokens[start + 1 : end + 1])
    finally:
        solo.close()
    return out


def _losses(rows: Floats, following: list[int]) -> list[float]:
    """The loss of each token that follows a row."""
    wide: np.ndarray[Any, np.dtype[np.float64]] = rows.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    chosen = wide[np.arange(len(following)), following]
    found: list[float] = (np.log(np.exp(wide).sum(axis=1)) - chosen).tolist()
    return found
