"""The shell against the machine's sh: the same snippet gives the same output and status."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SH = shutil.which("dash") or "/bin/sh"
LLMSH = [sys.executable, "-m", "llmsh.sh"]
FOLDER = Path(__file__).resolve().parent
ROOT = str(FOLDER.parents[1])
SNIPPETS = (FOLDER / "same.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n--\n")


def run(program: list[str], snippet: str, folder: Path) -> tuple[bytes, int]:
    folder.mkdir()
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": ROOT, "LC_ALL": "C.UTF-8"}
    env |= {name: str(home) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME")}
    done = subprocess.run(
        [*program, "-c", snippet],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    return done.stdout, done.returncode


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_same_as_sh(snippet: str, tmp_path: Path) -> None:
    assert run(LLMSH, snippet, tmp_path / "a") == run([SH], snippet, tmp_path / "b")
