"""Commands that find no daemon start one, and only one, whatever lies about; with the fake model."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmsh.abi import paths
from tests.support.client import llmsh
from tests.support.daemon import Daemon, Wire, environment

MANY = 50


@pytest.fixture(autouse=True)
def machine(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders of this test's own, and no daemon in them at the end."""
    monkeypatch.setenv("LLMSH_MODEL", "fake")
    yield xdg
    llmsh("daemon", "stop", "--grace", "0")


def pids() -> set[int]:
    """OS pids of the daemons that serve or served in this test, from their log."""
    lines = Path(paths.state(), "llmshd.log").read_text().splitlines()
    return {int(line.split(" is pid ")[1].split(",")[0]) for line in lines if "llmshd is pid" in line}


def run_many() -> None:
    """As many cold `llmsh run` at once as the rule says; every one has the answer and status 0."""
    start = f'for i in $(seq {MANY}); do "$PYTHON" -m llmsh.cli run ask hi >out.$i 2>err.$i & done'
    command = f"{start}; for job in $(jobs -p); do wait $job || echo $?; done"
    folder = Path(paths.state()).parent
    python = sys.executable
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(PYTHON=python),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    errors = {(folder / f"err.{number}").read_text() for number in range(1, MANY + 1)}
    texts = {(folder / f"out.{number}").read_text() for number in range(1, MANY + 1)}
    assert (done.stdout, errors) == ("", {""})
    assert len(texts) == 1
    assert texts.pop().strip()


def test_fifty_cold_commands_at_once_make_one_daemon() -> None:
    run_many()
    assert len(pids()) == 1


def test_fifty_with_a_stale_socket_and_a_removed_folder(machine: Path) -> None:
    os.mkdir(paths.runtime(), 0o700)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(paths.socket())
    stale.close()
    run_many()
    assert len(pids()) == 1
    llmsh("daemon", "stop")
    shutil.rmtree(machine / "runtime")
    run_many()
    assert len(pids()) == 2


def test_fifty_after_kill_9() -> None:
    assert llmsh("run", "ask", "hi").returncode == 0
    os.kill(pids().pop(), signal.SIGKILL)
    run_many()
    assert len(pids()) == 2


def test_commands_that_only_look_start_nothing() -> None:
    assert llmsh("ps").returncode == 0
    assert llmsh("daemon", "status").returncode == 3
    assert not os.path.exists(Path(paths.state(), "llmshd.log"))


def test_a_command_substitution_on_a_cold_machine_ends() -> None:
    words = ["timeout", "60", "sh", "-c", 'echo "$("$PYTHON" -m llmsh.cli run ask hi)"']
    python = sys.executable
    done = subprocess.run(
        words, env=environment(PYTHON=python), capture_output=True, text=True, timeout=70, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_stop_and_restart() -> None:
    assert llmsh("daemon", "restart").returncode == 0
    first = Wire()
    pid = first.call("hello", major=1)["pid"]
    assert llmsh("daemon", "restart").returncode == 0
    assert first.rest()[-1][0]["ev"] == "bye"
    second = Wire()
    assert second.call("hello", major=1)["pid"] != pid
    assert llmsh("daemon", "stop").returncode == 0
    assert llmsh("daemon", "status").returncode == 3


def test_a_daemon_that_leaves_for_idleness_does_not_fail_the_next_command(machine: Path) -> None:
    (machine / "config" / "llmsh").mkdir()
    (machine / "config" / "llmsh" / "llmshd.toml").write_text("idle_exit_s = 0.01\n")
    for _ in range(5):
        done = llmsh("run", "ask", "hi")
        assert (done.returncode, done.stderr) == (0, "")


def test_what_keeps_the_daemon_from_starting_reaches_the_user(machine: Path) -> None:
    (machine / "config" / "llmsh").mkdir()
    (machine / "config" / "llmsh" / "llmshd.toml").write_text("colour = 1\n")
    done = llmsh("run", "ask", "hi")
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "llmshd.toml:1: colour: no such key" in done.stderr


def test_a_daemon_under_another_lock_is_not_disturbed(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two state folders, one socket: the second is refused, the first goes on."""
    first = Daemon()
    (machine / "other").mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(machine / "other"))
    second = Daemon()
    assert "another daemon serves there" in second.said
    assert second.ended()[0] == 1
    wire = Wire()
    assert wire.call("hello", major=1)["pid"] == first.pid
    first.stop()
