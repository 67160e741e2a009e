"""translate: 20 lines; none comes out empty or as it went in, and most hold words of the language."""

import re

import pytest

from tests.support.bareprogram import Runner

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(900)]

LINES = [
    "The dog is in the kitchen.",
    "I drink tea every morning.",
    "Where is the library?",
    "My father works in a hospital.",
    "The house is very old.",
    "We are going to the beach on Sunday.",
    "Do you speak French?",
    "The weather is beautiful today.",
    "She is reading a book.",
    "Thank you for the flowers.",
    "The train is late.",
    "I have two brothers and a sister.",
    "The soup is hot.",
    "He lost his keys.",
    "They live near the river.",
    "The shop closes at six.",
    "I love music.",
    "The bird sings in the tree.",
    "Please close the door.",
    "Good night and sleep well.",
]
FRENCH = r"\b(le|la|les|l|un|une|des|du|de|est|sont|je|j|nous|vous|il|elle|ils|et|à|au|dans|mon|ma|sur|ne|pas|bonne?)\b"
GERMAN = r"\b(der|die|das|ein|eine|ist|sind|ich|wir|sie|er|es|und|in|im|am|mein|meine|nicht|mit|zu|auf|guten?)\b"


@pytest.mark.parametrize(("language", "words", "lines"), [("fr", FRENCH, LINES), ("de", GERMAN, LINES[:4])])
def test_no_line_is_empty_or_as_it_was(runner: Runner, language: str, words: str, lines: list[str]) -> None:
    result = runner.run("translate", stdin="".join(f"{line}\n" for line in lines).encode(), lang=language)
    assert (result.status, result.err) == (0, b"")
    made = result.text.splitlines()
    assert len(made) == len(lines)
    for line, translation in zip(lines, made, strict=True):
        assert translation.strip()
        assert translation.strip().lower() != line.lower()
    speaking = [translation for translation in made if re.search(words, translation.lower())]
    assert len(speaking) >= 0.8 * len(lines), made
