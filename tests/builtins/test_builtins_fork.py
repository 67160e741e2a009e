"""fork: children of running agents, over the fake model."""

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh
from tests.support.endless import WITHOUT_END

pytestmark = pytest.mark.usefixtures("shared")


def test_a_detached_child_is_a_process_like_its_parent() -> None:
    parent = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    said = llmsh("fork", "-d", "--seed", "7", parent)
    child = said.stdout.strip()
    assert (said.returncode, said.stderr) == (0, "")
    rows = llmsh("ps", "-o", "pid=,ppid=,cmd=", "-p", f"{parent},{child}").stdout.split("\n")
    assert rows[1].split() == [child, parent, "ask", "x"]
    assert llmsh("kill", "-KILL", parent).returncode == 0
    assert llmsh("kill", "-KILL", child).returncode == 0
    assert llmsh("wait", child).returncode == 137


def test_a_child_says_the_rest_and_ends_as_an_agent() -> None:
    parent = llmsh("run", "-d", "--max-tokens", "3000", "--ignore-eos", "ask", "x").stdout.strip()
    said = llmsh("fork", parent)
    llmsh("wait", parent)
    assert said.stdout
    assert llmsh("logs", parent).stdout.endswith(said.stdout)


def test_who_cannot_be_forked() -> None:
    for number in ("4199999", "1234"):
        said = llmsh("fork", number)
        assert (said.returncode, said.stderr) == (1, f"fork: {number}: no such process\n")
    for argv in ((), ("x",), ("5", "6"), ("--seed", "x", "5"), ("-d", "5", "-")):
        assert llmsh("fork", *argv).returncode == 2, argv


def test_a_full_disk_below_its_output() -> None:
    parent = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    status, said = into_full("fork", "-d", parent)
    assert (status, said) == (1, f"fork: {NO_SPACE}")
    assert llmsh("pkill", "-KILL", "ask").returncode == 0
