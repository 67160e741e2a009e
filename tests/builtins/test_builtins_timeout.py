"""timeout: agents and programs for a limited time, with the statuses of timeout(1)."""

import signal
from pathlib import Path

import pytest

from tests.support.client import llmsh, refused
from tests.support.crowd import crowded_llmsh
from tests.support.endless import WITHOUT_END


@pytest.mark.usefixtures("shared")
def test_agents() -> None:
    assert llmsh("timeout", "0.1", "run", *WITHOUT_END, "ask", "x").returncode == 124
    assert llmsh("timeout", "0.1", "ask", *WITHOUT_END, "x").returncode == 124
    done = llmsh("timeout", "60", "ask", "--max-tokens", "3", stdin="x")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout, "its input and output are the agent's"


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("60", "true"), 0),
        (("0", "true"), 0),
        (("1m", "sh", "-c", "exit 3"), 3),
        (("60", "sh", "-c", "kill -HUP $$"), -signal.SIGHUP),
        (("0.05", "sleep", "60"), 124),
        (("--preserve-status", "0.05", "sleep", "60"), -signal.SIGTERM),
        (("-s", "KILL", "0.05", "sleep", "60"), -signal.SIGKILL),
        (("-s9", "0.05", "sleep", "60"), -signal.SIGKILL),
        (("-k", "0.05", "0.05", "sh", "-c", "trap '' TERM; exec sleep 60"), -signal.SIGKILL),
        (("0.05", "sh", "-c", "kill -STOP $$"), 124),
        (("60", "pgrep", "nobody"), 1),
    ],
)
def test_statuses(xdg: Path, argv: tuple[str, ...], status: int) -> None:
    done = llmsh("timeout", *argv)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_many_open_files_and_long_times_are_no_matter(xdg: Path) -> None:
    assert crowded_llmsh("timeout", "60", "sh", "-c", "exit 3") == (3, "", "")
    assert crowded_llmsh("timeout", "0.05", "sleep", "60") == (124, "", "")
    done = llmsh("timeout", "1000d", "true")
    assert (done.returncode, done.stderr) == (0, "")


def test_options_end_at_the_command(xdg: Path) -> None:
    assert llmsh("timeout", "60", "echo", "-s", "--help").stdout == "-s --help\n"


def test_what_cannot_be_run(xdg: Path) -> None:
    missing = llmsh("timeout", "60", "no-such-program")
    assert (missing.returncode, missing.stderr) == (127, "timeout: no-such-program: no such command\n")
    folder = llmsh("timeout", "60", "/etc")
    assert (folder.returncode, folder.stderr.count("\n")) == (126, 1)


def test_it_says_what_it_sends(xdg: Path) -> None:
    done = llmsh("timeout", "-v", "-s", "INT", "0.05", "sleep", "60")
    assert (done.returncode, done.stderr) == (124, "timeout: sending signal INT to sleep 60\n")


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("5",),
        ("soon", "true"),
        ("nan", "true"),
        ("-1", "true"),
        ("-s", "FOO", "5", "true"),
        ("-k", "x", "5", "true"),
    ],
)
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("timeout", *argv)
