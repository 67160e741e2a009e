"""The folder of models: what comes in is whole, what goes is gone, what is wrong is said in a line."""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.errors import Error
from llmsh.lib.models import store
from tests.support.ggufbytes import DATA, build, string

MODEL = build()


def quiet(_done: int, _size: int) -> None:
    """No progress is drawn."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A model's file outside the store."""
    path = tmp_path / "My Model v1.gguf"
    path.write_bytes(MODEL)
    return path


def test_add_then_look_then_remove(xdg: Path, source: Path) -> None:
    added = store.add(str(source), "", quiet)
    assert added.name == "my-model-v1"
    assert Path(added.path).read_bytes() == MODEL
    assert (added.source, added.sha256) == (str(source), hashlib.sha256(MODEL).hexdigest())
    assert store.names() == ["my-model-v1"]
    assert store.look("my-model-v1") == added
    store.remove("my-model-v1")
    assert store.names() == []
    assert {path.name for path in (xdg / "data/llmsh/models").iterdir()} == {".lock"}
    with pytest.raises(Error, match="my-model-v1: no such model"):
        store.remove("my-model-v1")
    with pytest.raises(Error, match="my-model-v1: no such model"):
        store.look("my-model-v1")


def test_a_taken_name_stays_unless_forced(xdg: Path, source: Path) -> None:
    store.add(str(source), "a", quiet)
    other = source.with_name("other.gguf")
    other.write_bytes(build({"name": string("general.name", "Other")}))
    with pytest.raises(Error) as caught:
        store.add(str(other), "a", quiet)
    assert caught.value.code == "EEXIST"
    assert Path(store.look("a").path).read_bytes() == MODEL
    header = store.add(str(other), "a", quiet, force=True).header
    assert header is not None
    assert header.name == "Other"


@pytest.mark.parametrize("name", ["", ".hidden", "-f", "a/b", "fake", "x" * 65, "a b", "a\nb", "é"])
def test_names_that_may_not_be(name: str) -> None:
    with pytest.raises(Error) as caught:
        store.check_name(name)
    assert caught.value.code == "EINVAL"


def test_a_broken_file_does_not_come_in(xdg: Path, source: Path) -> None:
    source.write_bytes(MODEL[: -DATA // 2])
    with pytest.raises(Error, match="truncated") as caught:
        store.add(str(source), "", quiet)
    assert caught.value.code == "ENOEXEC"
    os.mkfifo(source.with_name("fifo.gguf"))
    with pytest.raises(Error, match="not a regular file"):
        store.add(str(source.with_name("fifo.gguf")), "", quiet)
    with pytest.raises(Error, match="No such file"):
        store.add(str(source.with_name("none.gguf")), "", quiet)
    assert store.names() == []


def test_a_full_disk_is_said_and_leaves_what_was(xdg: Path, source: Path) -> None:
    before = store.add(str(source), "a", quiet)
    (xdg / "data/llmsh/models/a.part").symlink_to("/dev/full")
    with pytest.raises(Error, match="No space left on device") as caught:
        store.add(str(source), "a", quiet, force=True)
    assert caught.value.code == "ENOSPC"
    assert store.look("a") == before
    assert {path.name for path in (xdg / "data/llmsh/models").iterdir()} == {".lock", "a.gguf", "a.toml"}


def test_a_model_spoilt_in_the_store_is_named(xdg: Path, source: Path) -> None:
    path = Path(store.add(str(source), "a", quiet).path)
    path.write_bytes(b"garbage")
    assert store.look("a").fault == f"{path}: not a GGUF file"
    path.with_suffix(".toml").write_text("no toml")
    assert store.look("a").source == ""


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_quoted_as_toml_wants(text: str) -> None:
    assert tomllib.loads(f"a = {store._quoted(text)}") == {"a": text}


def model(*words: str) -> "subprocess.CompletedProcess[str]":
    """`llmsh model WORDS` as an OS process."""
    return subprocess.run(
        [sys.executable, "-m", "llmsh.cli", "model", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command(xdg: Path, source: Path) -> None:
    done = model("add", str(source), "tiny")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1] == "model: added tiny: llama , 160 weights, context 64, licence unknown"
    assert [line.split()[0] for line in model("ls").stdout.splitlines()] == ["NAME", "tiny"]
    (row,) = [json.loads(line) for line in model("ls", "--json").stdout.splitlines()]
    assert (row["name"], row["context"], row["template"], row["fault"]) == ("tiny", 64, False, "")
    assert json.loads(model("info", "--json", "tiny").stdout) == row
    assert json.loads(model("info", "--json", str(source)).stdout)["path"] == str(source)
    assert model("rm", "tiny").returncode == 0
    assert model("ls", "--json").stdout == ""


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["add", "/etc/passwd"], 1, "model: /etc/passwd: not a GGUF file"),
        (["add", "/no/such.gguf"], 1, "model: /no/such.gguf: No such file or directory"),
        (["add", "/etc"], 1, "model: /etc: not a regular file"),
        (["info", "/etc/passwd"], 1, "model: /etc/passwd: not a GGUF file"),
        (["info", "nope"], 1, "model: nope: no such model"),
        (["rm", "nope"], 1, "model: nope: no such model"),
        (["rm", "../nope"], 2, "model: ../nope: a model's name has"),
        (["pull", "nope"], 1, "model: nope: not a model that pull knows (smollm2)"),
        (["pull"], 2, "model: pull: NAME expected"),
        (["frobnicate"], 2, "model: frobnicate: one of add, pull, ls, rm, info, tune expected"),
        ([], 2, "model: one of add, pull, ls, rm, info, tune expected"),
    ],
)
def test_what_a_user_does_wrong_is_one_line(xdg: Path, words: list[str], status: int, line: str) -> None:
    done = model(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
