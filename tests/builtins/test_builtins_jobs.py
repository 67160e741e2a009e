"""jobs: the process groups of this session, over the fake model."""

import json
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.endless import Endless


@pytest.mark.usefixtures("daemon")
def test_those_of_this_session_with_their_states() -> None:
    with Endless() as one, Endless() as two:
        text = f"[1]- {'Running':<23} ask go on\n[2]+ {'Running':<23} ask go on\n"
        assert llmsh("jobs").stdout == text
        llmsh("kill", "-STOP", str(one.pid))
        first, second = [json.loads(line) for line in llmsh("jobs", "--json").stdout.splitlines()]
        assert first == {"job": 1, "pgid": one.pid, "pids": [one.pid], "state": "stopped", "args": "ask go on"}
        assert second["state"] == "running"
        assert llmsh("jobs", "-l").stdout.splitlines()[0] == f"[1]+ {one.pid} {'Stopped':<23} ask go on"
        assert llmsh("jobs", "-p").stdout.split() == [str(one.pid), str(two.pid)]
        assert llmsh("jobs", "-p", "-r").stdout == f"{two.pid}\n"
        assert llmsh("jobs", "-p", "-s").stdout == f"{one.pid}\n"
        assert [llmsh("jobs", "-p", word).stdout for word in ("%2", "%+", str(one.pid))] == [
            f"{two.pid}\n", f"{one.pid}\n", f"{one.pid}\n",
        ]  # fmt: skip
        assert into_full("jobs") == (1, f"jobs: {NO_SPACE}")


@pytest.mark.usefixtures("shared")
def test_none_is_nothing_and_status_0() -> None:
    done = llmsh("jobs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    none = llmsh("jobs", "%1")
    assert (none.returncode, none.stdout, none.stderr) == (1, "", "jobs: %1: no such job\n")


def test_a_wrong_option_is_one_line(xdg: Path) -> None:
    assert "-q: unknown option" in refused("jobs", "-q")
