"""pgrep: by pattern and by what processes are, over the fake model."""

import json
import os
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.endless import Endless


@pytest.mark.usefixtures("daemon")
def test_by_pattern() -> None:
    with Endless() as one, Endless() as two:
        a, b = str(one.pid), str(two.pid)
        assert llmsh("pgrep", "a.k").stdout.split() == [a, b]
        assert llmsh("pgrep", "-x", "as").returncode == 1
        assert llmsh("pgrep", "-c", "-f", "go on").stdout == "2\n"
        assert llmsh("pgrep", "-n", "ask").stdout == f"{b}\n"
        assert llmsh("pgrep", "-o", "-l", "ask").stdout == f"{a} ask\n"
        assert llmsh("pgrep", "-d,", "ask").stdout == f"{a},{b}\n"
        assert llmsh("pgrep", "-ai", "ASK").stdout == f"{a} ask go on\n{b} ask go on\n"
        assert llmsh("pgrep", "-v", "init").stdout.split() == [a, b]
        assert [json.loads(line)["agent"] for line in llmsh("pgrep", "--json", "ask").stdout.splitlines()] == [
            "ask"
        ] * 2
        assert into_full("pgrep", "ask") == (1, f"pgrep: {NO_SPACE}")


@pytest.mark.usefixtures("daemon")
def test_by_what_they_are() -> None:
    with Endless() as one, Endless() as two:
        a, b = str(one.pid), str(two.pid)
        assert llmsh("pgrep", "-P", str(one.client.pid)).stdout.split() == [a]
        assert llmsh("pgrep", "-g", f"{a},{b}").stdout.split() == [a, b]
        assert llmsh("pgrep", "-s", str(os.getsid(0)), "-n").stdout.split() == [b]
        assert llmsh("pgrep", "-u", str(os.getuid()), "ask").stdout.split() == [a, b]
        assert llmsh("pgrep", "-u", "nobody-of-this-name", "ask").returncode == 1
        llmsh("kill", "-STOP", a)
        assert llmsh("pgrep", "-r", "T", "ask").stdout.split() == [a]


@pytest.mark.usefixtures("shared")
def test_none_is_status_1_without_a_word() -> None:
    done = llmsh("pgrep", "nobody")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    count = llmsh("pgrep", "-c", "nobody")
    assert (count.returncode, count.stdout) == (1, "0\n")


@pytest.mark.parametrize("argv", [(), ("(",), ("a", "b"), ("-P", "x", "ask"), ("--bogus", "ask"), ("-x",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("pgrep", *argv)
