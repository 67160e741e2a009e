"""Where sentences end, and how many of them are kept; nothing of agents is known here."""

import pytest

from llmsh.programs.sentences import first


@pytest.mark.parametrize(
    ("text", "count", "kept"),
    [
        ("One. Two. Three.", 1, "One."),
        ("One. Two. Three.", 2, "One. Two."),
        ("One. Two. Three.", 9, "One. Two. Three."),
        ("no end", 1, "no end"),
        ("", 1, ""),
        ("Really? Yes! So.", 2, "Really? Yes!"),
        ('"Stop." He went.', 1, '"Stop."'),
        ("It cost 3.5 million. Much.", 1, "It cost 3.5 million."),
        ("Dr. J. Smith of St. Ives spoke. Then not.", 1, "Dr. J. Smith of St. Ives spoke."),
        ("Wait... what? No.", 1, "Wait..."),
        ("一。二。", 1, "一。"),
        ("One.\nTwo.", 1, "One."),
    ],
)
def test_the_first_sentences(text: str, count: int, kept: str) -> None:
    assert first(text, count) == kept


def test_of_a_text_that_was_cut_the_unfinished_sentence_goes() -> None:
    assert first("One. Two. And th", 5, whole=False) == "One. Two."
    assert first("One. Two. And th", 5) == "One. Two. And th"
    assert first("And th", 5, whole=False) == "And th"
