"""Completions: current, and of use in a real shell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import completions

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = completions.scripts()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_current(name: str) -> None:
    assert (ROOT / "completions" / name).read_text() == SCRIPTS[name], "run `make man`"


def test_no_script_is_left_over() -> None:
    assert {path.name for path in (ROOT / "completions").iterdir()} == set(SCRIPTS)


@pytest.mark.parametrize(("shell", "name"), [("bash", "llmsh.bash"), ("zsh", "_llmsh"), ("fish", "llmsh.fish")])
def test_the_shell_can_read_it(shell: str, name: str) -> None:
    if shutil.which(shell) is None:
        assert shell != "bash", "bash is there on every machine that builds this"
        return
    done = subprocess.run([shell, "-n", ROOT / "completions" / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def complete(tmp_path: Path, *words: str) -> set[str]:
    """What bash offers after these words."""
    (tmp_path / "llmsh").write_text(f'#!/bin/sh\nexec {sys.executable} -m llmsh.cli "$@"\n')
    (tmp_path / "llmsh").chmod(0o755)
    script = f"""
        source {ROOT}/completions/llmsh.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        compopt() {{ :; }}
        _llmsh
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", "llmsh", *words],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_verbs_and_values(tmp_path: Path, xdg: Path) -> None:
    assert complete(tmp_path, "ren") == {"renice"}
    assert complete(tmp_path, "model", "") == {"add", "pull", "ls", "rm", "info", "tune"}
    assert complete(tmp_path, "ps", "--so") == {"--sort"}
    assert complete(tmp_path, "kill", "-s", "ST") == {"STOP"}
    assert complete(tmp_path, "kill", "-s", "KI") == {"KILL"}


def test_bash_asks_llmsh_for_models(tmp_path: Path, xdg: Path) -> None:
    folder = xdg / "data/llmsh/models"
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(b"")
    assert complete(tmp_path, "model", "rm", "") == {"tiny"}
