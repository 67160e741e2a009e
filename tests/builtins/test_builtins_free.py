"""free: cells and bytes of the models' caches, over the fake model."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, WORDS, environment, into_full, llmsh, refused

KEYS = ("total", "used", "free", "shared", "cached", "swap")


@pytest.mark.usefixtures("shared")
def test_cells_bytes_and_units() -> None:
    llmsh("run", "--max-tokens", "3", "ask", "x")
    row = json.loads(llmsh("free", "--json").stdout)
    assert set(row) >= {"name", "model", *KEYS, *(f"{key}_bytes" for key in KEYS)}
    assert row["total"] == row["used"] + row["free"] > 0
    head, fake = (line.split() for line in llmsh("free").stdout.splitlines())
    assert (head, fake) == (list(KEYS), ["fake:", *(str(row[key]) for key in KEYS)])
    total = row["total_bytes"]
    for option, size in (("-b", total), ("-k", total >> 10), ("-m", total >> 20), ("-g", total >> 30)):
        lines = [line.split()[:2] for line in llmsh("free", option, "-t").stdout.splitlines()[1:]]
        assert lines == [["fake:", str(size)], ["Total:", str(size)]]
    assert llmsh("free", "-h").stdout.splitlines()[1].split()[1] == f"{total / (1 << 20):.1f}Mi"
    assert into_full("free") == (1, f"free: {NO_SPACE}")


@pytest.mark.usefixtures("shared")
def test_again_and_again() -> None:
    once = llmsh("free", "-t").stdout
    assert llmsh("free", "-t", "-s", "0.01", "-c", "3").stdout == "\n".join([once] * 3)
    records = llmsh("free", "--json", "--seconds=0.01", "--count=2").stdout.splitlines()
    assert len(records) == 2
    assert records[0] == records[1]
    words = [*WORDS, "free", "-s", "0.01"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()) as free:
        assert free.stdout is not None
        assert [next(free.stdout).split()[:1] for _ in range(5)] == [[b"total"], [b"fake:"], [], [b"total"], [b"fake:"]]
        free.terminate()


def test_an_empty_machine_has_none(xdg: Path) -> None:
    assert llmsh("free").stdout.splitlines()[1].split() == ["Total:", *["0"] * len(KEYS)]
    assert llmsh("free", "--json").stdout == ""


@pytest.mark.parametrize("argv", [("more",), ("-x",), ("--bogus",), ("-s", "0"), ("-s", "x"), ("-c", "0")])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("free", *argv)
