"""`llmsh model tune` as a process of the machine, over the tiny model; once over SmolLM2."""

import fcntl
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmsh.lib import commands
from llmsh.lib.models import tune
from llmsh.lib.models.form import Form
from llmsh.lib.models.gauge import Gauge
from tests.support import tinykinds
from tests.support.client import WORDS, environment, into_full, llmsh, refused
from tests.support.tinymodel import make

pytestmark = pytest.mark.llama
FIELDS = {"type", "bytes", "prefill", "generate", "gain", "perplexity", "delta", "error", "verdict", "chosen", "model"}
WHATEVER = ("--bound", "1e9")
"""A bound that nothing breaks: what quantization does to a random model is random."""


@pytest.fixture(autouse=True)
def _one_cpu() -> Iterator[None]:
    """On one CPU: two threads of a step this small spend their time waiting for each other."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def models(xdg: Path) -> Path:
    """The folder of models, with a tiny one in it."""
    folder = xdg / "data" / "llmsh" / "models"
    folder.mkdir(parents=True)
    make(folder / "tiny.gguf")
    return folder


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A text of one window."""
    path = tmp_path / "text"
    path.write_text("It was a bright cold day in April, and the clocks were striking. " * 10)
    return str(path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left(models: Path) -> set[str]:
    """What lies in the folder, but locks."""
    return {path.name for path in models.iterdir() if not path.name.endswith(".lock")}


def tuned(*argv: str) -> list[dict[str, Any]]:
    done = llmsh("model", "tune", "--json", *argv)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_names_the_types_that_are_tried() -> None:
    module = commands.load("model")
    assert module is not None
    choices = {option.name: option.choices for option in module.COMMAND.options}["type"]
    assert choices == tuple(tune.BITS)
    assert set(choices) == set(tune.NUMBERS)


def test_a_bound_holds_and_the_original_is_only_read(models: Path, text: str) -> None:
    before = digest(models / "tiny.gguf")
    rows = tuned("tiny", "--text", text, "--bound", "2", "-t", "Q8_0", "-t", "Q4_0")
    assert digest(models / "tiny.gguf") == before
    assert [row["type"] for row in rows[1:]] == ["Q8_0", "Q4_0"]
    assert rows[0]["verdict"].startswith(("as it is", "chosen"))
    assert all(set(row) == FIELDS for row in rows)
    for row in rows[1:]:
        assert (row["verdict"] == "over the bound") == (row["delta"] > 2)
    assert sum(row["chosen"] for row in rows) == 1
    assert next(row["delta"] for row in rows if row["chosen"]) <= 2


@pytest.mark.parametrize("kind", tinykinds.KINDS)
def test_models_of_every_kind_can_be_measured(models: Path, text: str, kind: str) -> None:
    tinykinds.make(models / "Other.gguf", kind)
    rows = tuned("Other", "--text", text, *WHATEVER, "--keep", "-t", "Q8_0")
    assert rows[1]["model"] in ("Other-tuned", "Other-q8_0")
    assert rows[1]["perplexity"] > 1


def test_what_is_kept_is_a_model_with_a_record(models: Path, text: str) -> None:
    rows = tuned("tiny", "--text", text, *WHATEVER, "--keep", "-t", "Q8_0", "-t", "Q5_0")
    made = {row["model"]: row for row in rows if row["model"]}
    wanted = {"tiny-tuned" if row["chosen"] else f"tiny-{row['type'].lower()}" for row in rows[1:]}
    assert set(made) == wanted
    assert left(models) == {"tiny.gguf", *(f"{name}{end}" for name in made for end in (".gguf", ".toml"))}
    for name, row in made.items():
        record = tomllib.loads((models / f"{name}.toml").read_text())
        assert record["sha256"] == digest(models / f"{name}.gguf")
        assert (record["made_from"], record["made_from_sha256"]) == ("tiny", digest(models / "tiny.gguf"))
        assert record["type"] == row["type"]
        assert (models / f"{name}.gguf").stat().st_size == row["bytes"]
    listed = [json.loads(line)["name"] for line in llmsh("model", "ls", "--json").stdout.splitlines()]
    assert set(listed) == {"tiny", *made}


def test_a_table_says_what_was_found(models: Path, text: str) -> None:
    done = llmsh("model", "tune", "tiny", "--text", text, *WHATEVER, "-t", "Q8_0")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["TYPE", "SIZE", "PREFILL", "GENERATE", "GAIN", "PERPLEXITY", "DELTA", "ERROR", "VERDICT"]
    assert len(lines) == 2
    assert lines[1].split()[0] == "Q8_0"
    assert sum("chosen" in line for line in lines) == 1
    assert done.stderr.startswith("model: tiny: ")
    assert done.stderr.count("\n") == 1


def interrupted(at: bytes, number: int, *argv: str) -> int:
    """Run until the terminal shows `at`, send the signal; the wait status as subprocess gives it."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*WORDS, "model", "tune", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=environment(),
    )
    os.close(theirs)
    seen = b""
    while at not in seen:
        seen += os.read(ours, 1 << 16)
    process.send_signal(number)
    status = process.wait(60)
    os.close(ours)
    return status


def test_an_interrupted_run_leaves_nothing(models: Path) -> None:
    assert interrupted(b"perplexity", signal.SIGINT, "tiny") == -signal.SIGINT
    assert left(models) == {"tiny.gguf"}


def test_what_a_killed_run_left_is_cleared_away(models: Path, text: str) -> None:
    assert interrupted(b"perplexity", signal.SIGKILL, "tiny") == -signal.SIGKILL
    assert ".tune" in left(models)
    tuned("tiny", "--text", text, "--bound", "0", "-t", "Q8_0")
    assert ".tune" not in left(models)


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_no_room_for_any_form_is_one_line(models: Path, text: str) -> None:
    done = subprocess.run(
        [*WORDS, "model", "tune", "tiny", "--text", text, "-t", "Q8_0", "-t", "Q4_0"],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=limited(50_000),
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(": file too large\n")
    assert done.stderr.count("\n") == 1
    assert left(models) == {"tiny.gguf"}


def test_a_form_that_does_not_fit_is_left_out(models: Path, text: str) -> None:
    done = subprocess.run(
        [*WORDS, "model", "tune", "--json", "tiny", "--text", text, *WHATEVER, "-t", "Q8_0", "-t", "Q4_0"],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=limited(100_000),
        check=False,
    )
    rows = {row["type"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["Q8_0"]["verdict"] == "no room on the disk", done.stderr
    assert rows["Q4_0"]["perplexity"] is not None


def test_a_name_that_is_taken_is_told_before_anything_is_measured(models: Path) -> None:
    shutil.copy(models / "tiny.gguf", models / "tiny-tuned.gguf")
    before = digest(models / "tiny-tuned.gguf")
    done = llmsh("model", "tune", "tiny")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "model: tiny-tuned: there is such a model already (--force replaces it)\n"
    assert digest(models / "tiny-tuned.gguf") == before


def test_another_that_tunes_is_left_alone(models: Path) -> None:
    (models / ".tune").mkdir()
    with (models / ".tune.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = llmsh("model", "tune", "tiny")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"model: {models}: another llmsh is tuning a model\n"
    assert ".tune" in left(models)


@pytest.mark.parametrize("name", ["nobody", "./nobody.gguf"])
def test_no_such_model(models: Path, name: str) -> None:
    done = llmsh("model", "tune", name)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"model: {name}: no such ")


def test_a_broken_model_is_one_line(models: Path) -> None:
    path = models / "tiny.gguf"
    path.write_bytes(path.read_bytes()[:-5000])
    done = llmsh("model", "tune", "tiny")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert left(models) == {"tiny.gguf"}


def test_a_text_too_short_or_not_there_is_one_line(models: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("Too short.")
    refused("model", "tune", "tiny", "--text", str(tmp_path / "short"))
    done = llmsh("model", "tune", "tiny", "--text", str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_a_full_standard_output_is_one_line(models: Path, text: str) -> None:
    status, said = into_full("model", "tune", "tiny", "--text", text, "-t", "Q8_0")
    assert (status, said.count("\n")) == (1, 1)


@pytest.mark.parametrize("argv", [(), ("a", "b"), ("a", "-b", "-1"), ("a", "-t", "Q9"), ("a", "-b", "much")])
def test_a_wrong_command_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("model", "tune", *argv)


@pytest.mark.smollm2
@pytest.mark.timeout(600)
def test_a_real_model_loses_little_as_q8_0_and_much_as_q4_0(tmp_path: Path, smollm2: Path) -> None:
    gauge = Gauge(str(smollm2), str(tmp_path), Path(tune.__file__).with_name("sample.txt").read_text())
    try:
        windows, prompt, answer = gauge.start()
        assert (windows > 8, prompt, answer) == (True, 256, 64)
        forms = {"Q4_1": Form("Q4_1", str(smollm2))}
        for kind in ("Q8_0", "Q4_0"):
            forms[kind] = Form(kind, str(tmp_path / kind))
            forms[kind].size = gauge.quantize(forms[kind].path, tune.NUMBERS[kind])
        for form in forms.values():
            form.losses = gauge.losses(form.path, 0)
    finally:
        gauge.close()
    original = forms["Q4_1"]
    assert abs(forms["Q8_0"].delta(original)[0]) < 2
    assert forms["Q4_0"].delta(original)[0] > 5
    assert forms["Q4_0"].settled(original, 0.5)
