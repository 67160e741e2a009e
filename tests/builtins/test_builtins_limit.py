"""limit: cells of groups and sessions, and who leaves first, over the fake model."""

from collections.abc import Iterator

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.endless import WITHOUT_END


@pytest.fixture(scope="module")
def agent(shared: object) -> Iterator[str]:
    """The pid of an agent that runs."""
    run = ("run", "-d", "--oom-score-adj", "7", "--group-cells", "90000")
    pid = llmsh(*run, *WITHOUT_END, "ask", "x").stdout.strip()
    yield pid
    llmsh("kill", "-KILL", pid)


def shown(pid: str) -> list[str]:
    """Its line but for what is used, which changes."""
    fields = llmsh("limit", pid).stdout.splitlines()[1].split()
    return [fields[0], fields[1], fields[2], fields[4]]


def test_what_was_given_at_the_start_is_shown(agent: str) -> None:
    assert shown(agent) == [agent, "7", "90000", "-"]
    assert llmsh("ps", "-o", "oom=", "-p", agent).stdout.strip() == "7"


def test_each_is_set_by_itself(agent: str) -> None:
    said = llmsh("limit", "-n", "-1000", agent)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert shown(agent) == [agent, "-1000", "90000", "-"]
    assert llmsh("limit", "-g", "0", "--session-cells=2000", agent).returncode == 0
    assert shown(agent) == [agent, "-1000", "-", "2000"]
    assert llmsh("limit", "--oom-score-adj", "7", "-g", "90000", "-s", "0", agent).returncode == 0
    assert shown(agent) == [agent, "7", "90000", "-"]


def test_who_cannot_be_limited(agent: str) -> None:
    for number in ("4999999", f"-{agent}"):
        said = llmsh("limit", "-n", "1", "--", number)
        assert said.returncode == 1
        assert said.stderr.startswith(f"limit: {number}: no such process")
    for argv in ((), ("x",), ("-n", "1001", agent), ("-n", "-1001", agent), ("-g", "-1", agent), ("-g", "x", agent)):
        assert refused("limit", *argv), argv


def test_a_full_disk_is_said(agent: str) -> None:
    assert into_full("limit", agent) == (1, f"limit: {NO_SPACE}")
