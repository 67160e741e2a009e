"""Set-up on machines that lack something: one line names it, and nothing is made."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.setup import note

ROOT = Path(__file__).resolve().parent.parent.parent
OLD = "#!/bin/sh\nexit 1\n"
NO_VENV = "#!/bin/sh\ncase $2 in *ensurepip*) exit 1;; esac\nexit 0\n"


def setup(folder: Path, *programs: str, python: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs set-up in a copy of its own, on a machine that has only these programs."""
    path = folder / "bin"
    path.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found is not None, program
        (path / program).symlink_to(found)
    if python:
        (path / "python3").write_text(python)
        (path / "python3").chmod(0o755)
    (folder / "tools").mkdir()
    shutil.copy(ROOT / "tools/setup.sh", folder / "tools")
    return subprocess.run(
        ["/bin/sh", folder / "tools/setup.sh", "run"],
        env={"PATH": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("programs", "python", "line"),
    [
        (("dirname", "g++", "python3"), "", "set-up: git is missing: apt install git"),
        (("dirname", "git", "python3"), "", "set-up: g++ is missing: apt install g++"),
        (("dirname", "git", "g++"), "", "set-up: Python 3.11 or newer is missing: apt install python3 python3-venv"),
        (("dirname", "git", "g++"), OLD, "set-up: Python 3.11 or newer is missing: apt install python3 python3-venv"),
        (("dirname", "git", "g++"), NO_VENV, "set-up: python3-venv is missing: apt install python3-venv"),
    ],
)
def test_what_is_missing_is_named_in_one_line(
    tmp_path: Path, programs: tuple[str, ...], python: str, line: str
) -> None:
    done = setup(tmp_path, *programs, python=python)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"  [41/193] Building CXX object ggml.c.o", ": compiling llama.cpp, file 41 of 193"),
        (b"Collecting jinja2==3.1.6 (from -r requirements.lock (line 5))", ": jinja2==3.1.6"),
        (b"  Using cached numpy-2.4.6-cp311.whl (16 MB)", ""),
        (b"  Downloading https://example.org/a/numpy-2.4.6.whl (16 MB)", ": numpy-2.4.6.whl"),
        (b"Using pip 26.3", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
    ],
)
def test_a_line_of_output_in_few_words(line: bytes, words: str) -> None:
    assert note(line) == words
