"""Texts of a wanted length for any model: words that nearly every vocabulary has as one token each.

It knows no tokenizer: who needs a length to the token gives a function that counts.
"""

import random
from collections.abc import Callable

# fmt: off
WORDS = (
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school",
    "state", "family", "student", "group", "country", "problem", "hand", "part", "place", "case", "week",
    "company", "system", "program", "question", "work", "government", "number", "night", "point", "home",
    "water", "room", "mother", "area", "money", "story", "fact", "month", "lot", "right", "study", "book",
    "eye", "job", "word", "business", "side", "kind", "head", "house", "service", "friend", "father", "power",
    "hour", "game", "line", "end", "member", "law", "car", "city",
)
# fmt: on
ROUNDS = 12


def text(size: int, draw: random.Random, density: float = 1.0) -> str:
    """About so many tokens of words in no order: two draws share no prefix worth reusing.

    `density` is the tokens of a word, which jobs.density measures for a model whose vocabulary is another.
    """
    return " ".join(draw.choices(WORDS, k=max(1, round(size / density))))


def exact(size: int, draw: random.Random, count: Callable[[str], int]) -> str:
    """A text that counts as so many tokens, or as near below as a few rounds come."""
    words = draw.choices(WORDS, k=max(1, size))
    for _ in range(ROUNDS):
        over = count(" ".join(words)) - size
        if not over:
            break
        words = words[: max(1, len(words) - over)] if over > 0 else words + draw.choices(WORDS, k=-over)
    while count(" ".join(words)) > size and len(words) > 1:
        words.pop()
    return " ".join(words)
