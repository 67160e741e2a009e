"""llmshd.toml: what is read, and the one line that says what is wrong."""

import dataclasses
from pathlib import Path

import pytest

from llmsh.abi.errors import Error
from llmsh.boot import config
from llmsh.boot.config import BOUNDS, FIELDS, Config, changed, checked, read


def written(folder: Path, text: str | bytes) -> str:
    path = folder / "llmshd.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_no_file_means_the_defaults(xdg: Path) -> None:
    assert read() == Config()


def test_the_usual_file_is_read(xdg: Path) -> None:
    (xdg / "config" / "llmsh").mkdir()
    (xdg / "config" / "llmsh" / "llmshd.toml").write_text('model = "fake"\nidle_exit_s = 5\ncells = 512\n')
    found = read()
    assert (found.model, found.idle_exit_s, found.cells, found.policy) == ("fake", 5.0, 512, "mlfq")
    assert type(found.idle_exit_s) is float


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n\ncels = 4", r":3: cels: no such key; keys are model, "),
        ('# c\ncells = "many"', r":2: cells: expected a whole number, at least 64$"),
        ("cells = 10.5", r":1: cells: expected a whole number, at least 64$"),
        ("cells = true", r":1: cells: expected a whole number"),
        ("batch = 1000", r":1: batch: expected a whole number from 0 to 256$"),
        ("model = 1", r":1: model: expected text$"),
        ('policy = "best"', r":1: policy: expected one of mlfq, fair, deadline"),
        ("starvation_s = nan", r":1: starvation_s: expected a number"),
        ("[cells]\na = 1", r":1: cells: expected a whole number"),
        ("cells = ", r"llmshd.toml:1: "),
        ("cells = 100\ncells = 200", r"llmshd.toml:2: "),
        (b"\xff", r"llmshd.toml: not UTF-8$"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_line_and_key(tmp_path: Path, text: str | bytes, line: str) -> None:
    with pytest.raises(Error, match=line) as caught:
        read(written(tmp_path, text))
    assert caught.value.status == 2
    assert "\n" not in caught.value.detail
    assert caught.value.detail.startswith(str(tmp_path))


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no such file"):
        read(str(tmp_path / "none.toml"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Error, match="directory"):
        read(str(tmp_path))


def test_options_lie_over_the_file() -> None:
    found = changed(Config(cells=99), ["cells=128", "model=fake:ms=5,cells=7", "strict=true", "grace_s=1"])
    assert (found.cells, found.model, found.strict, found.grace_s) == (128, "fake:ms=5,cells=7", True, 1.0)


@pytest.mark.parametrize("item", ["cells", "cells=", "cells=x", "colour=red", "cells=1\ny=2"])
def test_an_option_that_is_wrong_is_one_line(item: str) -> None:
    with pytest.raises(Error) as caught:
        changed(Config(), [item])
    assert caught.value.status == 2


@pytest.mark.parametrize("name", FIELDS)
def test_every_default_passes_its_own_check(name: str) -> None:
    value = getattr(Config(), name)
    assert checked(name, value) == value


def test_every_number_has_bounds() -> None:
    numbers = {field.name for field in dataclasses.fields(Config) if field.type in ("int", "float", int, float)}
    assert numbers == set(BOUNDS)
    assert config.file().endswith("/llmsh/llmshd.toml")


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ('"512K"', 512 << 10), ('"3M"', 3 << 20), ('"4G"', 4 << 30)]
)
def test_a_size_may_have_a_unit(tmp_path: Path, text: str, size: int) -> None:
    file = tmp_path / "llmshd.toml"
    file.write_text(f"memory = {text}\n")
    assert read(str(file)).memory == size
    assert changed(Config(), [f"memory={text}"]).memory == size
    assert changed(Config(), [f"memory={text.strip(chr(34))}"]).memory == size


def test_a_size_with_another_unit_is_refused() -> None:
    for text in ("4X", "G", "-1G", "4G "):
        with pytest.raises(Error, match=r'memory: expected a whole number or a text as "4G", at least 0$'):
            changed(Config(), [f"memory={text}"])
