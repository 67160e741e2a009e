"""chat: 20 conversations of two turns; what the first turn said is known in the second."""

import re

import pytest

from tests.support.bareprogram import Runner

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(900)]

FLOOR = 16
ANSWER = 12
"""Tokens of an answer: its beginning is looked at."""
TABLE = [
    ("My name is Martha.", "What is my name?", "Martha"),
    ("My name is Leo.", "What is my name?", "Leo"),
    ("I have a dog called Biscuit.", "What is my dog called?", "Biscuit"),
    ("I have a cat called Pepper.", "What is the name of my cat?", "Pepper"),
    ("I live in Geneva.", "Where do I live?", "Geneva"),
    ("I was born in Ottawa.", "Where was I born?", "Ottawa"),
    ("My favourite colour is purple.", "What is my favourite colour?", "purple"),
    ("My favourite food is pancakes.", "What is my favourite food?", "pancake"),
    ("I work as a plumber.", "What is my job?", "plumb"),
    ("I am a teacher.", "What do I do for work?", "teach"),
    ("My sister is called Ruth.", "What is my sister called?", "Ruth"),
    ("My brother's name is Felix.", "What is my brother's name?", "Felix"),
    ("I am learning Italian.", "Which language am I learning?", "Italian"),
    ("I play the trumpet.", "Which instrument do I play?", "trumpet"),
    ("My car is red.", "What colour is my car?", "red"),
    ("I bought a bicycle yesterday.", "What did I buy yesterday?", "bicycle|bike"),
    ("Tomorrow I will fly to Lima.", "Where will I fly tomorrow?", "Lima"),
    ("My birthday is in October.", "When is my birthday?", "October"),
    ("The password is sunflower.", "What is the password?", "sunflower"),
    ("I am 31 years old.", "How old am I?", "31"),
]


def test_the_second_turn_sees_the_first(runner: Runner) -> None:
    wrong = []
    for first, second, right in TABLE:
        result = runner.run("chat", stdin=f"{first}\n{second}\n".encode(), image_max_tokens=ANSWER)
        assert (result.status, result.err) == (0, b"")
        _, answer = result.answers
        assert answer.strip()
        assert result.text.endswith(f"{answer.rstrip()}\n") or answer.endswith("\n")
        if not re.search(right, answer, re.IGNORECASE):
            wrong.append((second, answer))
    assert len(TABLE) - len(wrong) >= FLOOR, wrong
