"""uptime: how long, since when and the load, over the fake model."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.endless import Endless


@pytest.mark.usefixtures("shared")
def test_in_each_of_its_forms() -> None:
    with Endless():
        line = llmsh("uptime").stdout
        assert re.fullmatch(
            r" \d\d:\d\d:\d\d up \d+ s,  1 session,  load average: \d+\.\d\d, \d+\.\d\d, \d+\.\d\d\n", line
        ), line
    row = json.loads(llmsh("uptime", "--json").stdout)
    assert row["running"] is True
    assert row["up_ms"] > 0
    assert len(row["load"]) == 3
    assert llmsh("uptime", "-p").stdout == "up 0 minutes\n"
    since = time.strftime("%Y-%m-%d %H:%M:%S\n", time.localtime(row["started"]))
    assert llmsh("uptime", "-s").stdout == since
    assert into_full("uptime") == (1, f"uptime: {NO_SPACE}")


def test_an_empty_machine_says_so(xdg: Path) -> None:
    assert llmsh("uptime").stdout == "llmshd is not running\n"
    assert json.loads(llmsh("uptime", "--json").stdout) == {"running": False}


@pytest.mark.parametrize("argv", [("more",), ("-x",), ("--bogus",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("uptime", *argv)
