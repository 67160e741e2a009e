"""vmstat: lines and records of what the machine does, over the fake model."""

import json
from pathlib import Path

import pytest

from llmsh.abi.records import VMSTAT
from tests.support.client import NO_SPACE, into_full, llmsh, refused

NOW = {"runnable", "blocked", "swap", "used", "free", "highest", "tax_ms"}


@pytest.mark.usefixtures("shared")
def test_lines_and_records() -> None:
    llmsh("run", "--max-tokens", "30", "ask", "x")
    groups, names, first = llmsh("vmstat").stdout.splitlines()
    assert [group.strip("-") for group in groups.split()] == ["procs", "cells", "swap", "tokens", "steps"]
    row = dict(zip(names.split(), map(float, first.split()), strict=True))
    assert row["used"] + row["free"] > 0
    assert row["highest"] <= row["used"] + row["free"]
    assert (row["r"], row["b"]) == (0, 0)
    # The first record is since the start, the second since the first.
    since, after = map(json.loads, llmsh("vmstat", "--json", "0.05", "2").stdout.splitlines())
    assert set(since) == {*VMSTAT} - {"up_ms"}
    assert since["tokens_out"] > 0
    assert after["tokens_out"] == 0
    assert {name: since[name] for name in NOW} == {name: after[name] for name in NOW}
    assert into_full("vmstat") == (1, f"vmstat: {NO_SPACE}")


@pytest.mark.usefixtures("shared")
def test_headers_come_again_and_times_with_t() -> None:
    lines = llmsh("vmstat", "0.001", "30").stdout.splitlines()
    assert [line.startswith("procs") for line in lines].count(True) == 2
    assert len(lines) == 34
    once = llmsh("vmstat", "-n", "-t", "0.001", "30").stdout.splitlines()
    assert len(once) == 32
    assert all(len(line.split()) == 14 for line in once[2:])


def test_an_empty_machine_does_nothing(xdg: Path) -> None:
    assert set(map(float, llmsh("vmstat").stdout.splitlines()[2].split())) == {0}
    assert set(json.loads(llmsh("vmstat", "--json").stdout).values()) == {0}


@pytest.mark.parametrize("argv", [("x",), ("0",), ("-1",), ("1", "0"), ("1", "x"), ("1", "2", "3"), ("-x",), ("nan",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("vmstat", *argv)
