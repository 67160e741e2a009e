"""pkill: signals what matches and nobody else, over the fake model."""

import signal
from pathlib import Path

import pytest

from tests.support.client import llmsh, refused
from tests.support.endless import Endless


@pytest.mark.usefixtures("daemon")
def test_it_signals_what_matches() -> None:
    with Endless() as one, Endless() as two:
        assert llmsh("pkill", "-0", "ask").returncode == 0
        assert llmsh("pkill", "-HUP", "-n", "-e", "ask").stdout == f"ask killed (pid {two.pid})\n"
        assert two.drained() == -signal.SIGHUP
        assert llmsh("pkill", "--signal", "KILL", "-c", "-f", "^ask go").stdout == "1\n"
        assert one.drained() == -signal.SIGKILL
        none = llmsh("pkill", "ask")
        assert (none.returncode, none.stdout, none.stderr) == (1, "", "")


@pytest.mark.usefixtures("daemon")
def test_stop_by_number_and_term_without_one() -> None:
    with Endless() as agent:
        assert llmsh("pkill", "-19", "-x", "ask").returncode == 0
        assert llmsh("ps", "-o", "s=", str(agent.pid)).stdout == "T\n"
        assert llmsh("pkill", "-CONT", "ask").returncode == 0
        assert llmsh("pkill", "-P", str(agent.client.pid)).returncode == 0
        assert agent.drained() == -signal.SIGTERM


@pytest.mark.usefixtures("shared")
def test_init_is_never_meant() -> None:
    for argv in (("init",), ("-f", "."), ("-v", "nobody")):
        assert llmsh("pkill", "-KILL", *argv).returncode == 1
    assert llmsh("ps", "-e", "-o", "pid=").stdout.split() == ["1"]


@pytest.mark.parametrize("argv", [(), ("-HUP",), ("-NONSENSE", "ask"), ("--signal", "99", "ask"), ("(",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("pkill", *argv)
