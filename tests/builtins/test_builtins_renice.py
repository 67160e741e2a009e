"""renice: of running agents, groups and the machine's processes, over the fake model."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.endless import WITHOUT_END, Endless


@pytest.fixture(scope="module")
def agent(shared: object) -> Iterator[str]:
    """The pid of an agent that runs."""
    pid = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    yield pid
    llmsh("kill", "-KILL", pid)


def value(pid: str) -> str:
    """Its nice value."""
    return llmsh("ps", "-o", "ni=", "-p", pid).stdout.strip()


def test_a_new_value_by_every_spelling(agent: str) -> None:
    assert llmsh("renice", "-n", "3", agent).returncode == 0
    assert llmsh("renice", "-n", "6", agent).stdout == f"{agent} (process ID) old priority 3, new priority 6\n"
    for argv, now in (
        (("7", agent), "7"),
        (("-2", "-p", agent), "-2"),
        (("+4", agent), "4"),
        (("--priority=5", "--pid", agent), "5"),
        (("--relative", "2", "-p", agent), "7"),
        (("--relative", "-3", agent), "4"),
    ):
        assert llmsh("renice", *argv).returncode == 0, argv
        assert value(agent) == now, argv


def test_a_group(agent: str) -> None:
    assert llmsh("renice", "-n", "1", agent).returncode == 0
    done = llmsh("renice", "-n", "8", "-g", agent)
    assert done.stdout == f"{agent} (process group) old priority 1, new priority 8\n"
    assert value(agent) == "8"


def test_what_an_id_is_stands_before_it(agent: str) -> None:
    done = llmsh("renice", "3", agent, "-g", agent, "-p", agent)
    assert [line.split(" old")[0] for line in done.stdout.splitlines()] == [
        f"{agent} (process ID)",
        f"{agent} (process group)",
        f"{agent} (process ID)",
    ]
    assert done.returncode == 0


def test_of_several_the_least_value_is_told(agent: str) -> None:
    with Endless() as other:
        llmsh("renice", "4", agent)
        llmsh("renice", "2", str(other.pid))
        done = llmsh("renice", "--relative", "1", "-u", str(os.getuid()))
        assert done.stdout == f"{os.getuid()} (user ID) old priority 2, new priority 3\n"
        assert (value(agent), value(str(other.pid))) == ("5", "3")


def test_a_user_is_every_agent_and_nobody_else_has_one(agent: str) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert llmsh("renice", "7", "-u", str(os.getuid())).returncode == 0
    assert value(agent) == "7"
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
    done = llmsh("renice", "8", "-u", "nobody", "-p", agent)
    assert (done.returncode, done.stderr) == (1, "renice: nobody: no process of this user\n")
    assert value(agent) == "8"


@pytest.mark.parametrize(("argv", "now"), [(("99",), "19"), (("-99",), "-20"), (("--relative", "99"), "19")])
def test_a_value_out_of_range_is_the_nearest(agent: str, argv: tuple[str, ...], now: str) -> None:
    done = llmsh("renice", *argv, agent)
    assert (done.returncode, done.stderr) == (0, "")
    assert value(agent) == now


def test_who_is_not_there_is_said_and_the_others_are_changed(agent: str) -> None:
    done = llmsh("renice", "2", "4999999", agent)
    assert (done.returncode, done.stderr) == (1, "renice: 4999999: no such process\n")
    assert value(agent) == "2"
    assert into_full("renice", "3", agent) == (1, f"renice: {NO_SPACE}")


def test_a_line_that_is_wrong_changes_nobody(agent: str) -> None:
    assert llmsh("renice", "1", agent).returncode == 0
    refused("renice", "9", agent, "me")
    assert value(agent) == "1"


def test_processes_of_the_machine(xdg: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        more = os.getpriority(os.PRIO_PROCESS, other.pid) + 1
        done = llmsh("renice", str(more), str(other.pid))
        assert done.stdout == f"{other.pid} (process ID) old priority {more - 1}, new priority {more}\n"
        assert os.getpriority(os.PRIO_PROCESS, other.pid) == more
    gone = llmsh("renice", "5", str(other.pid))
    assert (gone.returncode, gone.stderr) == (1, f"renice: {other.pid}: no such process\n")


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("5",),
        ("abc", "4999999"),
        ("-n", "x", "4999999"),
        ("5", "me"),
        ("-n", "1", "--relative", "1", "4999999"),
        ("5", "-g", "-4999999"),
    ],
)
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("renice", *argv)
