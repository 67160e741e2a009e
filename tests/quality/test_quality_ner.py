"""ner: 20 texts whose plain names it must find, and no name that the text does not hold."""

import json

import pytest

from tests.support.bareprogram import Runner

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(900)]

FOUND, SORTED = 0.75, 0.7
"""Shares of the names that are found, and that are found and of the right type."""
P, L, O = "person", "place", "organization"  # noqa: E741  # columns of the table
TABLE: list[tuple[str, dict[str, str]]] = [
    ("Oliver met Sofia in Vienna.", {"Oliver": P, "Sofia": P, "Vienna": L}),
    ("Emma Larsen was born in Denmark and grew up in Boston.", {"Emma Larsen": P, "Denmark": L, "Boston": L}),
    ("Nestle sold its factory in Brazil last week.", {"Nestle": O, "Brazil": L}),
    ("Lucas and Mia walked from Paris to Berlin.", {"Lucas": P, "Mia": P, "Paris": L, "Berlin": L}),
    ("Doctor Amir Khan works at Stanford University.", {"Amir Khan": P, "Stanford University": O}),
    ("IBM and Samsung share a laboratory in Zurich.", {"IBM": O, "Samsung": O, "Zurich": L}),
    ("In Athens, Nikos showed Helen the old harbour.", {"Athens": L, "Nikos": P, "Helen": P}),
    ("Rachel Green moved from Texas to Alaska.", {"Rachel Green": P, "Texas": L, "Alaska": L}),
    ("Thomas wrote a letter to Alice from Egypt.", {"Thomas": P, "Alice": P, "Egypt": L}),
    ("Ford will open a plant in Mexico, and Linda Gomez will lead it.", {"Ford": O, "Mexico": L, "Linda Gomez": P}),
    ("Jacob flew to Tokyo with his sister Nora.", {"Jacob": P, "Tokyo": L, "Nora": P}),
    ("Martin Weber sold his house in Munich in 2004.", {"Martin Weber": P, "Munich": L}),
    ("Grace and her brother Henry visited Dublin.", {"Grace": P, "Henry": P, "Dublin": L}),
    ("Sophie Martin studied in London before she joined Airbus.", {"Sophie Martin": P, "London": L, "Airbus": O}),
    ("In Seoul, Daniel met Professor Jin Park.", {"Seoul": L, "Daniel": P, "Jin Park": P}),
    ("Isabel drove from Barcelona to Lyon.", {"Isabel": P, "Barcelona": L, "Lyon": L}),
    ("Adobe opened an office in Bucharest, and Victor Popa runs it.", {"Adobe": O, "Bucharest": L, "Victor Popa": P}),
    ("William showed Charlotte the bridges of Prague.", {"William": P, "Charlotte": P, "Prague": L}),
    ("Peter Olsen left Norway in 1921.", {"Peter Olsen": P, "Norway": L}),
    ("The cows were slow and the morning was cold.", {}),
]


def test_plain_names_are_found_and_none_is_made_up(runner: Runner) -> None:
    result = runner.run("ner", stdin="\n".join(text for text, _ in TABLE).encode(), lines=True)
    documents = [json.loads(line) for line in result.text.splitlines()]
    total = sum(len(names) for _, names in TABLE)
    found = typed = 0
    missed = []
    for (text, names), document in zip(TABLE, documents, strict=True):
        assert all(name in text for name in document), document
        held = {name for name in names if any(name in key for key in document)}
        found += len(held)
        typed += sum(document.get(name) == kind for name, kind in names.items())
        missed += [(text, document)] if held != set(names) else []
    assert found >= FOUND * total, missed
    assert typed >= SORTED * total, missed


def test_a_text_of_several_parts_is_one_document(runner: Runner) -> None:
    text = " ".join(text for text, _ in TABLE[:6])
    result = runner.run("ner", stdin=text.encode())
    document = json.loads(result.out)
    assert result.text.count("\n") == 1
    wanted = [name for _, names in TABLE[:6] for name in names]
    assert sum(any(name in key for key in document) for name in wanted) >= len(wanted) / 3, document
