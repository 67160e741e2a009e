"""How long a model takes over one request of a usual size: its prompt, then its answer token by token.

What it reads and writes is given, so that every form of a model does the same work; nothing is sampled.
One call is one sample: whoever compares forms takes them in turns and as often as the noise demands.
"""

import time

from llmsh.engine.model import Model
from llmsh.engine.solo import Solo

PROMPT, ANSWER = 256, 64
"""Tokens of the request."""
_WARM = 16
"""Tokens computed before: the first ones pay for pages and threads."""


def shape(model: Model) -> tuple[int, int]:
    """Tokens of prompt and answer, less where the model was trained for less."""
    if 0 < model.trained < PROMPT + ANSWER:
        prompt = model.trained * PROMPT // (PROMPT + ANSWER)
        return prompt, model.trained - prompt
    return PROMPT, ANSWER


def request(model: Model, tokens: list[int]) -> tuple[float, float]:
    """Seconds for the prompt and for the answer. Raises Error ENOMEM, EIO."""
    prompt, answer = shape(model)
    while len(tokens) < prompt + answer:
        tokens = tokens + tokens
    solo = Solo(model, prompt + answer)
    try:
        solo.feed(tokens[:_WARM])
        solo.feed(tokens[:1], "last")
        solo.clear()
        began = time.perf_counter()
        solo.feed(tokens[:prompt], "last")
        read = time.perf_counter()
        for token in tokens[prompt : prompt + answer]:
            solo.feed([token], "last")
        return read - began, time.perf_counter() - read
    finally:
        solo.close()
