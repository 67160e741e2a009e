"""Starting the daemon from a command: folders, causes, who starts it, who does not. Fifty at once are tests of boot."""

import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmsh.abi import paths
from tests.support.client import WORDS, environment, llmsh

RUN = ("run", "--max-tokens", "2", "ask", "x")


@pytest.fixture(autouse=True)
def machine(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cold machine; whatever runs at the end is stopped."""
    monkeypatch.setenv("LLMSH_MODEL", "fake")
    yield xdg
    assert llmsh("daemon", "stop", "--grace", "0").returncode == 0


def pid_of_the_daemon() -> int:
    return int(json.loads(llmsh("daemon", "status", "--json").stdout)["pid"])


def test_a_runtime_folder_that_is_gone_is_made_again(machine: Path) -> None:
    shutil.rmtree(machine / "runtime")
    assert llmsh(*RUN).returncode == 0
    assert (Path(paths.runtime()).stat().st_mode & 0o777) == 0o700


def test_the_daemon_outlives_the_session_that_started_it() -> None:
    subprocess.run(
        [*WORDS, *RUN],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        env=environment(),
    )
    pid = pid_of_the_daemon()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    assert fields[4] == "0", "no controlling terminal"
    assert int(fields[3]) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


def test_a_daemon_that_cannot_start_is_one_line_with_its_cause(machine: Path) -> None:
    config = machine / "config" / "llmsh"
    config.mkdir()
    (config / "llmshd.toml").write_text("nonsense = 1\n")
    done = llmsh(*RUN)
    assert done.returncode == 1
    assert done.stderr.startswith("run: the daemon did not start: ")
    assert "nonsense" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_runtime_folder_open_to_others_is_refused(machine: Path, mode: int) -> None:
    folder = machine / "runtime" / "llmsh"
    folder.mkdir()
    folder.chmod(mode)
    for argv in (RUN, ("ps",)):
        done = llmsh(*argv)
        assert done.returncode == 126
        assert done.stderr == f"{argv[0]}: {folder}: has mode {mode:04o}, must be 0700\n"
    folder.chmod(0o700)


def test_a_runtime_folder_that_is_a_link_is_refused(machine: Path) -> None:
    elsewhere = machine / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder = machine / "runtime" / "llmsh"
    folder.symlink_to(elsewhere)
    done = llmsh("ps")
    assert (done.returncode, done.stderr.count("\n")) == (126, 1)
    assert "is a link" in done.stderr
    folder.unlink()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_who_asks_about_what_has_been_starts_the_daemon_that_knows_it(end: str) -> None:
    pid = llmsh("run", "-d", *RUN[1:]).stdout.strip()
    assert llmsh("wait", pid).returncode == 0
    said = llmsh("logs", pid).stdout
    running = llmsh("run", "-d", "--ignore-eos", "--max-tokens", "0", "ask", "x").stdout.strip()
    if end == "stop":
        assert llmsh("daemon", "stop", "--grace", "0").returncode == 0
    else:
        gone = os.pidfd_open(pid_of_the_daemon())
        signal.pidfd_send_signal(gone, signal.SIGKILL)
        select.select([gone], [], [])
        os.close(gone)
    assert llmsh("wait", pid).returncode == 0
    assert llmsh("daemon", "stop").returncode == 0
    assert llmsh("logs", pid).stdout == said != ""
    assert llmsh("wait", running).returncode == 137


def test_an_empty_machine_stays_empty() -> None:
    for words in (("wait", "4194304"), ("logs", "4194304"), ("ps",), ("kill", "4194304"), ("free",), ("dmesg",)):
        llmsh(*words)
    assert llmsh("daemon", "status").returncode != 0
