"""sentiment: 20 texts, of which at least 15 get the right label; and what --lines and --scores print."""

import json

import pytest

from tests.support.bareprogram import Runner

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(900)]

FLOOR = 15
TABLE = [
    ("The cake was delicious and everyone asked for the recipe.", "positive"),
    ("The zip broke the first time I wore the jacket.", "negative"),
    ("We waited two hours and then they told us the kitchen was closed.", "negative"),
    ("This little radio has a wonderful sound and the battery lasts for days.", "positive"),
    ("The instructions are confusing and half of the screws were missing.", "negative"),
    ("A beautiful book that I will read again and again.", "positive"),
    ("Thank you for a perfect weekend, we will certainly be back.", "positive"),
    ("The lecturer mumbled and the slides were impossible to read.", "negative"),
    ("My grandmother loves her new chair and sits in it all day.", "positive"),
    ("The dentist was gentle, patient and very kind to my son.", "positive"),
    ("I am disappointed: the colours faded after a single wash.", "negative"),
    ("Worst customer service I have ever had to deal with.", "negative"),
    ("An exciting match with a fantastic goal in the last minute.", "positive"),
    ("The app crashes whenever I try to save my work.", "negative"),
    ("The beach was dirty and the music far too loud to sleep.", "negative"),
    ("Friendly neighbours, a quiet street and plenty of light: we love it here.", "positive"),
    ("The bread was stale and the cheese had mould on it.", "negative"),
    ("She explained everything clearly and I finally understand fractions.", "positive"),
    ("He lied to us about the price and then shouted at my wife.", "negative"),
    ("What a charming play, the whole theatre stood up and cheered.", "positive"),
]


def test_at_least_15_of_20_are_right(runner: Runner) -> None:
    result = runner.run("sentiment", stdin="\n".join(text for text, _ in TABLE).encode(), lines=True)
    assert (result.status, result.err) == (0, b"")
    labels = result.text.splitlines()
    wrong = [(text, label) for (text, right), label in zip(TABLE, labels, strict=True) if label != right]
    assert len(TABLE) - len(wrong) >= FLOOR, wrong


def test_a_text_of_several_lines_has_one_label(runner: Runner) -> None:
    text = "\n".join(text for text, label in TABLE if label == "negative")
    assert runner.run("sentiment", stdin=text.encode()).text == "negative\n"


def test_the_distribution(runner: Runner) -> None:
    result = runner.run("sentiment", TABLE[0][0], image_output_json=True)
    record = json.loads(result.out)
    assert record["label"] == "positive"
    assert sum(record["scores"].values()) == pytest.approx(1, abs=1e-4)
    line = runner.run("sentiment", TABLE[0][0], image_scores=True).text.rstrip("\n").split("\t")
    assert line[0::2] == ["positive", "negative"]
    assert [float(value) for value in line[1::2]] == pytest.approx(list(record["scores"].values()), abs=1e-5)
