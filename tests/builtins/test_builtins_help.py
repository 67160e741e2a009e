"""help: every command with a line, one with its options, agents too."""

import json
from pathlib import Path

from llmsh.lib import commands
from tests.support.client import NO_SPACE, into_full, llmsh, refused


def test_it_lists_every_command(xdg: Path) -> None:
    listed = [line.split()[0] for line in llmsh("help").stdout.splitlines()]
    assert listed == commands.names()
    assert llmsh("help", "kill").stdout == llmsh("kill", "--help").stdout
    assert llmsh("help", "ask").stdout == llmsh("run", "ask", "--help").stdout
    assert llmsh("help", "nonsense").returncode == 1


def test_records_name_and_sum_up(xdg: Path) -> None:
    rows = [json.loads(line) for line in llmsh("help", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == commands.names()
    assert all(row["summary"] for row in rows)
    assert [json.loads(llmsh("help", "--json", name).stdout)["name"] for name in ("kill", "ask")] == ["kill", "ask"]


def test_what_is_wrong_is_one_line(xdg: Path) -> None:
    both = llmsh("help", "nonsense", "kill")
    assert (both.returncode, both.stderr) == (1, "help: nonsense: no such command or agent\n")
    assert both.stdout == llmsh("kill", "--help").stdout
    refused("help", "-x")
    assert into_full("help") == (1, f"help: {NO_SPACE}")
