"""wait: statuses from any shell, at any time, over the fake model."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, WORDS, environment, into_full, llmsh, refused
from tests.support.crowd import crowded_llmsh
from tests.support.daemon import Daemon
from tests.support.endless import WITHOUT_END, Endless


def detached(*words: str) -> str:
    """The pid of an agent that runs detached."""
    return llmsh("run", "-d", *words, "ask", "x").stdout.strip()


@pytest.mark.usefixtures("shared")
def test_several_and_the_first_of_several() -> None:
    quick = detached("--max-tokens", "3")
    with Endless() as slow:
        assert llmsh("wait", "-n", str(slow.pid), quick).returncode == 0
        assert llmsh("wait", "--timeout", "0.05", str(slow.pid)).returncode == 124
        llmsh("kill", "-KILL", str(slow.pid))
        assert llmsh("wait", quick, str(slow.pid)).returncode == 137
        assert llmsh("wait", str(slow.pid), quick).returncode == 0, "the last one's"
        assert slow.drained() == -signal.SIGKILL


@pytest.mark.usefixtures("shared")
def test_the_record_says_how_it_ended() -> None:
    pid = detached(*WITHOUT_END)
    llmsh("kill", "-INT", pid)
    done = llmsh("wait", "--json", pid)
    row = json.loads(done.stdout)
    assert done.returncode == 130
    assert (row["pid"], row["signal"]) == (int(pid), signal.SIGINT)
    assert into_full("wait", "--json", pid) == (1, f"wait: {NO_SPACE}")


@pytest.mark.usefixtures("shared")
def test_it_works_from_another_session_and_more_than_once() -> None:
    pid = detached(*WITHOUT_END)
    words = [*WORDS, "wait", pid]
    others = [subprocess.Popen(words, env=environment(), start_new_session=True) for _ in range(2)]
    llmsh("kill", "-HUP", pid)
    assert [other.wait(60) for other in others] == [129, 129]
    assert llmsh("wait", pid).returncode == 129, "and afterwards"


def test_a_status_outlives_the_daemon(daemon: Daemon) -> None:
    pid = detached("--max-tokens", "3")
    assert llmsh("wait", pid).returncode == 0
    killed = detached(*WITHOUT_END)
    assert llmsh("kill", "-KILL", killed).returncode == 0
    daemon.stop()
    with_next = Daemon()
    assert [llmsh("wait", each).returncode for each in (pid, killed)] == [0, 137]
    with_next.stop()


@pytest.mark.usefixtures("shared")
def test_who_is_nobody_is_127() -> None:
    gone = llmsh("wait", "9999999")
    assert (gone.returncode, gone.stderr.count("\n")) == (127, 1)
    assert gone.stderr.startswith("wait: 9999999: no such process")
    foreign = llmsh("wait", str(os.getpid()))
    assert (foreign.returncode, foreign.stderr) == (127, f"wait: {os.getpid()}: not a child of this shell\n")
    assert llmsh("wait").returncode == 0, "no children, none to wait for"


@pytest.mark.usefixtures("shared")
def test_many_open_files_and_long_times_are_no_matter() -> None:
    with Endless() as slow:
        pid = str(slow.pid)
        assert crowded_llmsh("wait", "--timeout", "0.05", pid) == (124, "", "wait: timed out\n")
        llmsh("kill", "-KILL", pid)
        assert crowded_llmsh("wait", "--timeout", "60", pid) == (137, "", "")
        assert llmsh("wait", "--timeout", "1000d", pid).returncode == 137
        assert slow.drained() == -signal.SIGKILL


@pytest.mark.parametrize("argv", [("x",), ("--", "-5000000"), ("-q",), ("--timeout", "x", "1"), ("--timeout",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("wait", *argv)
