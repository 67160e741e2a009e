"""daemon: status, start, stop and restart of a real one with the fake model."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmsh.abi import paths
from llmsh.abi.version import BUILD
from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.daemon import Daemon
from tests.support.endless import Endless


@pytest.fixture
def machine(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No daemon yet; one that a test starts has the fake model and is stopped."""
    monkeypatch.setenv("LLMSH_MODEL", "fake")
    yield
    llmsh("daemon", "stop", "--grace", "0")


def status() -> dict[str, object]:
    """The record of status."""
    row: dict[str, object] = json.loads(llmsh("daemon", "status", "--json").stdout)
    return row


@pytest.mark.usefixtures("machine")
def test_start_restart_and_stop() -> None:
    assert status() == {"running": False, "socket": paths.socket()}
    assert llmsh("daemon", "start").returncode == 0
    first = status()
    assert (first["running"], first["build"], first["socket"]) == (True, BUILD, paths.socket())
    assert llmsh("daemon", "start").returncode == 0
    assert status()["pid"] == first["pid"], "one that runs is left alone"
    assert llmsh("daemon", "restart").returncode == 0
    assert status()["pid"] != first["pid"]
    assert llmsh("daemon", "stop").returncode == 0
    gone = llmsh("daemon", "status")
    assert (gone.returncode, gone.stdout, gone.stderr) == (3, "llmshd is not running\n", "")


def test_stop_where_none_runs_is_done_and_says_so(xdg: Path) -> None:
    done = llmsh("daemon", "stop")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "daemon: llmshd is not running\n")
    assert llmsh("daemon", "status").returncode == 3, "nor has it started one"


@pytest.mark.usefixtures("machine")
def test_restart_starts_one_where_none_runs() -> None:
    assert llmsh("daemon", "restart").returncode == 0
    assert llmsh("daemon", "status").returncode == 0


def test_status_is_for_people_too(daemon: Daemon) -> None:
    text = llmsh("daemon").stdout
    assert text.startswith(f"llmshd {BUILD} runs as pid {daemon.pid}, up ")
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["socket", "log", "processes"]
    assert into_full("daemon", "status") == (1, f"daemon: {NO_SPACE}")


def test_stop_waits_until_it_has_gone_and_ends_who_runs(daemon: Daemon) -> None:
    with Endless() as agent:
        assert llmsh("daemon", "stop", "--grace", "0").returncode == 0
        assert daemon.ended()[0] == 0
        assert agent.drained() in (-signal.SIGTERM, -signal.SIGKILL)


@pytest.mark.usefixtures("machine")
def test_what_kill_9_leaves_is_no_obstacle(daemon: Daemon) -> None:
    daemon.stop(signal.SIGKILL)
    assert Path(paths.socket()).exists()
    assert llmsh("daemon", "status").returncode == 3
    assert llmsh("daemon", "start").returncode == 0
    assert status()["running"] is True


@pytest.mark.parametrize("argv", [("dance",), ("status", "more"), ("--grace", "x", "stop"), ("--bogus",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("daemon", *argv)
