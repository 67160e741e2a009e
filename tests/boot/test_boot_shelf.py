"""Tables of rates on disk: by machine and model, read again, and a broken one is no trouble."""

import json
import os
from pathlib import Path

import pytest

from llmsh.abi.levels import NOTICE
from llmsh.boot import shelf as module
from llmsh.boot.shelf import FILES_MAX, Shelf, fingerprint, processor
from llmsh.kernel.rates import Point, Rates


def table() -> Rates:
    rates = Rates(7.0)
    rates.measured(Point(1, 2, 4), 12.5)
    return rates


def models(folder: Path) -> tuple[str, str]:
    """Two of one size that differ in a byte."""
    paths = folder / "one.gguf", folder / "two.gguf"
    paths[0].write_bytes(b"GGUF" + bytes(5_000_000))
    paths[1].write_bytes(b"GGUF" + bytes(4_999_999) + b"x")
    os.truncate(paths[1], 5_000_004)
    return str(paths[0]), str(paths[1])


def test_a_table_is_read_again_by_the_model_it_is_of(tmp_path: Path) -> None:
    said: list[str] = []
    one, two = models(tmp_path)
    shelf = Shelf(str(tmp_path / "rates"), said.append, "8192 cells")
    assert shelf.find(one) is None
    shelf.keep(one, table())
    again = Shelf(str(tmp_path / "rates"), said.append, "8192 cells")
    found = again.find(one)
    assert found is not None
    assert (found.ms, found.made) == (table().ms, 7.0)
    assert Shelf(str(tmp_path / "rates"), said.append, "other cells").find(one) is None
    (file,) = (tmp_path / "rates").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["model"] == one
    assert said == []
    # The same bytes elsewhere are the same model.
    moved = tmp_path / "moved.gguf"
    os.rename(one, moved)
    assert again.find(str(moved)) is not None
    assert two != str(moved)


def test_models_that_differ_have_tables_of_their_own(tmp_path: Path) -> None:
    header = tmp_path / "header.gguf"
    header.write_bytes(b"GGUF" + b"y" + bytes(4_999_999))
    one, _ = models(tmp_path)
    assert fingerprint(one) != fingerprint(str(header))
    shelf = Shelf(str(tmp_path / "rates"), print)
    shelf.keep(one, table())
    assert shelf.find(str(header)) is None
    shelf.keep("fake:ms=3", table())
    assert shelf.find("fake:ms=3") is not None
    assert shelf.find("fake") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}', '{"version": 1, "points": 3}', "[" * 100_000])
def test_a_broken_file_is_one_line_and_is_written_anew(tmp_path: Path, text: str) -> None:
    said: list[str] = []
    shelf = Shelf(str(tmp_path / "rates"), said.append)
    shelf.keep("fake", table())
    (file,) = (tmp_path / "rates").iterdir()
    file.write_text(text)
    assert shelf.find("fake") is None
    assert len(said) == 1
    assert said[0].startswith(f"{NOTICE}fake: its rates are measured anew: ")
    assert "\n" not in said[0]
    shelf.keep("fake", table())
    assert shelf.find("fake") is not None


def test_what_cannot_be_written_is_a_line(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "rates").write_text("in the way")
    Shelf(str(tmp_path / "rates"), said.append).keep("fake", table())
    assert len(said) == 1


def test_there_are_never_too_many(tmp_path: Path) -> None:
    shelf = Shelf(str(tmp_path / "rates"), print)
    for number in range(FILES_MAX + 5):
        shelf.keep(f"fake:ms={number}", table())
    assert len(list((tmp_path / "rates").iterdir())) == FILES_MAX


def test_the_processors_name() -> None:
    assert processor("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n") == "Some CPU @ 2 GHz"
    assert processor("nothing") == os.uname().machine
    assert str(sorted(os.sched_getaffinity(0))) in module._machine()
