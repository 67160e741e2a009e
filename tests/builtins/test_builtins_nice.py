"""nice: of agents and programs, added to the present value, over the fake model."""

import os
from pathlib import Path

import pytest

from llmsh.abi.nice import clamp
from tests.support.client import NO_SPACE, WORDS, into_full, llmsh, refused
from tests.support.endless import WITHOUT_END


@pytest.fixture
def here() -> int:
    """The nice value that these tests run at."""
    return os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize(
    ("argv", "more"),
    [((), 10), (("-n", "3"), 3), (("-n3",), 3), (("--adjustment=4",), 4), (("-5",), 5), (("-n", "99"), 99)],
)
def test_programs(xdg: Path, here: int, argv: tuple[str, ...], more: int) -> None:
    assert llmsh("nice", *argv, "nice").stdout == f"{clamp(here + more)}\n"
    assert llmsh("nice", *argv, *WORDS, "nice").stdout == f"{clamp(here + more)}\n"


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    "words", [("run", "-d", *WITHOUT_END, "ask"), ("run", "--nice", "9", "-d", *WITHOUT_END, "ask")]
)
def test_agents(here: int, words: tuple[str, ...]) -> None:
    pid = llmsh("nice", "-n", "4", *words, "x").stdout.strip()
    said = 9 if "--nice" in words else clamp(here + 4)
    assert llmsh("ps", "-o", "ni=,stat=", pid).stdout.split()[0] == str(said), "what is said last holds"
    assert llmsh("kill", "-KILL", pid).returncode == 0


def test_without_a_command_it_prints(xdg: Path, here: int) -> None:
    assert llmsh("nice").stdout == f"{here}\n"
    assert into_full("nice") == (1, f"nice: {NO_SPACE}")


def test_the_status_is_the_commands(xdg: Path) -> None:
    assert llmsh("nice", "sh", "-c", "exit 7").returncode == 7
    missing = llmsh("nice", "no-such-program")
    assert (missing.returncode, missing.stderr.count("\n")) == (127, 1)
    folder = llmsh("nice", "/etc")
    assert (folder.returncode, folder.stderr.count("\n")) == (126, 1)


@pytest.mark.parametrize("argv", [("-n", "x", "true"), ("-n",), ("-n", "5"), ("--bogus", "true")])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("nice", *argv)
