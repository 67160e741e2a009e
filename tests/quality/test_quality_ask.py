"""ask: 20 questions whose answer holds the right word for at least 15."""

import re

import pytest

from tests.support.bareprogram import Runner

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(900)]

FLOOR = 15
TABLE = [
    ("What is the capital of Germany?", "Berlin"),
    ("What is the capital of Japan?", "Tokyo"),
    ("What is the capital of Spain?", "Madrid"),
    ("How many hours are in a day?", "24|twenty-four"),
    ("How many wheels does a bicycle have?", "two|2"),
    ("What do cows drink?", "water|milk"),
    ("What colour is grass?", "green"),
    ("What is the largest planet in the solar system?", "Jupiter"),
    ("What gas do people need to breathe?", "oxygen"),
    ("Which animal is known as the king of the jungle?", "lion"),
    ("What is frozen water called?", "ice"),
    ("What is 2 plus 2?", "4|four"),
    ("Who wrote Hamlet?", "Shakespeare"),
    ("In which country is the Eiffel Tower?", "France"),
    ("What is the opposite of big?", "small|little"),
    ("Which star does the Earth go around?", "Sun"),
    ("What language do people speak in Portugal?", "Portuguese"),
    ("What is the longest river in Africa?", "Nile"),
    ("Who was Albert Einstein?", "physicist|scientist"),
    ("What do bees make?", "honey"),
]


def test_most_answers_hold_the_right_word(runner: Runner) -> None:
    wrong = []
    for question, right in TABLE:
        result = runner.run("ask", question)
        assert result.status == 0
        assert result.text.endswith("\n")
        assert len(result.text.split()) < 120
        if not re.search(rf"\b({right})", result.text, re.IGNORECASE):
            wrong.append((question, result.text))
    assert len(TABLE) - len(wrong) >= FLOOR, wrong
