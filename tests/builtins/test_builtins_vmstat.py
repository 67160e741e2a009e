"""vmstat: lines and records of what the machine does, over the fake model."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmsh.abi.records import VMSTAT
from tests.support.client import NO_SPACE, WORDS, into_full, llmsh, refused
from tests.support.daemon import Daemon, environment
from tests.support.endless import WITHOUT_END

NOW = {"runnable", "blocked", "swap", "used", "free", "highest", "tax_ms", "cores", "threads", "seats"}
COUNTS = {"changes", "moves"}
TWO = "fake:cores=2,cpus=2,each=10,cells=60000,context=30000"


@pytest.mark.usefixtures("shared")
def test_lines_and_records() -> None:
    llmsh("run", "--max-tokens", "30", "ask", "x")
    groups, names, first = llmsh("vmstat").stdout.splitlines()
    assert [group.strip("-") for group in groups.split()] == ["procs", "cells", "swap", "tokens/steps", "cores"]
    assert len(groups) == len(names) == len(first) == 80
    row = dict(zip(names.split(), map(float, first.split()), strict=True))
    assert row["used"] + row["free"] > 0
    assert row["high"] <= row["used"] + row["free"]
    assert (row["r"], row["b"]) == (0, 0)
    assert (row["co"], row["th"], row["mov"]) == (1, 1, 0)
    assert row["seat"] > 0
    # The first record is since the start, the second since the first.
    since, after = map(json.loads, llmsh("vmstat", "--json", "0.05", "2").stdout.splitlines())
    assert set(since) == {*VMSTAT} - {"up_ms"}
    assert since["tokens_out"] > 0
    assert after["tokens_out"] == 0
    assert all(type(after[name]) is int for name in NOW - {"tax_ms"} | COUNTS)
    assert {name: since[name] for name in NOW} == {name: after[name] for name in NOW}
    assert into_full("vmstat") == (1, f"vmstat: {NO_SPACE}")


def test_a_daemon_that_was_started_anew_counts_from_its_start(xdg: Path) -> None:
    first = Daemon()
    words = [*WORDS, "vmstat", "--json", "1.5", "4"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment()) as shown:
        assert shown.stdout is not None
        for _ in range(3):  # it is up for longer then than the second will be
            shown.stdout.readline()
        first.stop()
        second = Daemon()
        llmsh("run", "--max-tokens", "20", "ask", "x")
        row = json.loads(shown.stdout.readline())
    second.stop()
    assert 0 < row["tokens_out"] < 2000, "20 of them, in more than ten milliseconds"


@pytest.mark.usefixtures("shared")
def test_headers_come_again_and_times_with_t() -> None:
    lines = llmsh("vmstat", "0.001", "30").stdout.splitlines()
    assert [line.startswith("procs") for line in lines].count(True) == 2
    assert len(lines) == 34
    once = llmsh("vmstat", "-n", "-t", "0.001", "30").stdout.splitlines()
    assert len(once) == 32
    assert all(len(line.split()) == 19 for line in once[2:])


def until(held: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask for all since the start until it holds."""
    for _ in range(600):
        row: dict[str, Any] = json.loads(llmsh("vmstat", "--json").stdout)
        if held(row):
            return row
    pytest.fail(f"it came to this: {row}")


@pytest.mark.usefixtures("daemon")
def test_cores_at_work_and_who_is_moved_between_them() -> None:
    pids = [llmsh("run", "-d", "-m", TWO, *WITHOUT_END, "ask", f"go on {n}").stdout.strip() for n in range(4)]
    until(lambda row: row["cores"] == 2 and row["tokens_out"] > 0)
    for _ in range(600):
        where = {pid: json.loads(llmsh("ps", "-p", pid, "--json").stdout)["core"] for pid in pids}
        if sorted(where.values()) == [0, 0, 1, 1]:
            break
    before = until(lambda row: True)
    gone = [pid for pid, core in where.items() if core == 0]
    assert llmsh("kill", "-KILL", *gone).returncode == 0
    after = until(lambda row: row["moves"] > before["moves"])
    # The end of the rest moves nobody: from here on the number stays.
    assert llmsh("kill", "-KILL", *(pid for pid in pids if pid not in gone)).returncode == 0
    until(lambda row: row["runnable"] == 0)
    since, later = map(json.loads, llmsh("vmstat", "--json", "0.05", "2").stdout.splitlines())
    assert since["moves"] >= after["moves"]
    assert later["moves"] == 0, "of the interval"
    assert json.loads(llmsh("lsdev", "-l", "--json").stdout)["moves"] == since["moves"]
    assert f"processes went from one core to another {since['moves']} times" in llmsh("lsdev", "-l").stdout


def test_an_empty_machine_does_nothing(xdg: Path) -> None:
    assert set(map(float, llmsh("vmstat").stdout.splitlines()[2].split())) == {0}
    assert set(json.loads(llmsh("vmstat", "--json").stdout).values()) == {0}


@pytest.mark.parametrize("argv", [("x",), ("0",), ("-1",), ("1", "0"), ("1", "x"), ("1", "2", "3"), ("-x",), ("nan",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("vmstat", *argv)
