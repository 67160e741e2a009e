"""logs: what a detached process wrote, while it runs and after, over the fake model."""

import subprocess
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, WORDS, environment, into_full, llmsh, refused
from tests.support.daemon import Daemon
from tests.support.endless import WITHOUT_END, Endless


@pytest.mark.usefixtures("shared")
def test_the_log_of_an_ended_process_whole_and_its_last_lines() -> None:
    pid = llmsh("run", "-d", "--max-tokens", "20", "--ignore-eos", "ask", "x").stdout.strip()
    assert llmsh("wait", pid).returncode == 0
    log = llmsh("logs", pid).stdout
    assert log
    last = log.splitlines(keepends=True)[-1]
    for argv in (("-n", "1"), ("-n1",), ("--lines=1",), ("-fn1",)):
        assert llmsh("logs", *argv, pid).stdout == last
    assert llmsh("logs", "-n", "0", pid).stdout == ""
    assert llmsh("logs", "-n", "100000", pid).stdout == log
    assert llmsh("logs", "-f", pid).stdout == log
    assert into_full("logs", pid) == (1, f"logs: {NO_SPACE}")


@pytest.mark.usefixtures("shared")
def test_it_follows_to_the_end() -> None:
    pid = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    words = [*WORDS, "logs", "-f", pid]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()) as follower:
        assert follower.stdout is not None
        first = follower.stdout.read(8)
        assert llmsh("kill", "-KILL", pid).returncode == 0
        rest = follower.stdout.read()
    assert follower.returncode == 0
    assert first + rest == llmsh("logs", pid).stdout.encode()


def test_it_outlives_the_daemon(daemon: Daemon) -> None:
    pid = llmsh("run", "-d", "--max-tokens", "8", "ask", "x").stdout.strip()
    assert llmsh("wait", pid).returncode == 0
    log = llmsh("logs", pid).stdout
    daemon.stop()
    following = Daemon()
    assert llmsh("logs", pid).stdout == log != ""
    following.stop()


@pytest.mark.usefixtures("shared")
def test_without_a_log_it_is_status_1_and_one_line() -> None:
    with Endless() as attached:
        for pid in (str(attached.pid), "4999999", "1"):
            done = llmsh("logs", pid)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), pid
            assert done.stderr.startswith(f"logs: {pid}: no ")


@pytest.mark.parametrize(
    "argv", [(), ("x",), ("4194305", "4194306"), ("-n", "x", "1"), ("-n", "-3", "1"), ("-n",), ("-q", "1"), ("-5",)]
)
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("logs", *argv)
