"""lsdev: devices, their columns and records, over the fake model."""

import json
from pathlib import Path

import pytest

from llmsh.abi.records import LSDEV, RATES
from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.daemon import Daemon

TWO = "fake:cores=2,cpus=2,each=10"
"""A second sequence of a step costs twice a step of one."""


@pytest.mark.usefixtures("shared")
def test_columns_and_records() -> None:
    llmsh("run", "--max-tokens", "3", "ask", "x")
    device = json.loads(llmsh("lsdev", "--json").stdout)
    assert set(device) >= set(LSDEV)
    assert (device["model"], device["kind"], device["state"]) == ("fake", "fake", "ready")
    assert device["tokens_out"] >= 3
    head, row = (line.split() for line in llmsh("lsdev").stdout.splitlines())
    assert dict(zip(head, row, strict=True))["CELLS"] == str(device["cells"])
    chosen = [line.split() for line in llmsh("lsdev", "-o", "model,cells").stdout.splitlines()]
    assert chosen == [["MODEL", "CELLS"], ["fake", str(device["cells"])]]
    assert llmsh("lsdev", "-n", "-o", "MODEL").stdout == "fake\n"
    assert llmsh("lsdev", "-o", "+cell_bytes").stdout.splitlines()[0].split() == [*head, "CELL-BYTES"]
    assert into_full("lsdev") == (1, f"lsdev: {NO_SPACE}")


def test_an_empty_machine_has_none(xdg: Path) -> None:
    assert llmsh("lsdev", "--json").stdout == ""
    assert llmsh("lsdev").stdout.split()[:3] == ["NAME", "KIND", "MODEL"]


@pytest.mark.parametrize("argv", [("more",), ("-o", "nonsense"), ("-o",), ("-x",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("lsdev", *argv)


def test_long_shows_rates_and_what_was_chosen(daemon: Daemon) -> None:
    """The fake device is measured as a real one is, in its own time."""
    llmsh("run", "--max-tokens", "3", "ask", "x")
    before = llmsh("lsdev", "-l").stdout.splitlines()[0]
    assert before.startswith("fake: 1 CPUs, ")
    rates = json.loads(llmsh("lsdev", "-l", "--json").stdout)["rates"]
    assert set(rates) == set(RATES)
    assert set(rates["chosen"] or {"cores": 1}) <= {"cores", "threads", "threads_batch", "seats"}
    while not json.loads(llmsh("lsdev", "-l", "--json").stdout)["rates"]["complete"]:
        llmsh("vmstat", "0.2", "2")
    llmsh("run", "--max-tokens", "3", "ask", "x")
    device, chosen, back, rent, core, *tables = llmsh("lsdev", "-l").stdout.splitlines()
    assert "11 of 11 points measured" in device
    assert chosen.startswith("chosen for 1 that can run: cores 1, threads of each 1 (1 for input), sequences a step 1")
    assert back.startswith("a token comes back in 0.001")
    assert back.endswith("swap file: - MB/s written, - MB/s read")
    assert rent == "a cell below the highest one costs 0 ns a token, whoever has it"
    assert core.startswith("core 0: ")
    assert core.endswith("tax 0.00 ms a token")
    assert tables[0] == "tokens a second of all cores, by how many generate at once (~ slower by now):"
    assert tables[3].startswith("and of input, by the tokens that are read at once; one costs 0.0")
    for lines, first, each in ((tables[1:3], 1, 0.5), (tables[4:], 32, 0.2)):
        head, row = (line.split() for line in lines)
        sizes = [first << bit for bit in range(len(head) - 2)]
        assert head == ["cores", "threads", *map(str, sizes)]
        assert row[:2] == ["*1", "1"]
        speeds = [size * 1000 / (5 + each * (size - 1)) for size in sizes]
        assert [float(value.rstrip("~?")) for value in row[2:]] == pytest.approx(speeds, rel=0.1)


def test_a_column_is_as_many_on_one_core_as_on_two(daemon: Daemon) -> None:
    """Who compares two splits of the machine compares what they make of the same number of processes."""
    llmsh("run", "--max-tokens", "3", "-m", TWO, "ask", "x")
    while not json.loads(llmsh("lsdev", "-l", "--json").stdout)["rates"]["complete"]:
        llmsh("vmstat", "0.2", "2")
    assert llmsh("map", "-P", "4", "--max-tokens", "40", "-m", TWO, "ask", stdin="a\nb\nc\nd\n").returncode == 0
    _, chosen, *lines = llmsh("lsdev", "-l").stdout.splitlines()
    assert chosen.startswith("chosen for ")
    assert " 0 that can run" not in chosen
    at = next(number for number, line in enumerate(lines) if line.startswith("tokens a second"))
    one, _, two = (line.split()[2:] for line in lines[at + 2 : at + 5])
    head = lines[at + 1].split()[2:]
    assert head == ["1", "2", "4", "8", "16", "32", "64"]
    assert (one[-1], two[0]) == ("-", "-"), "64 are two steps of one core, and one process is on one core"
    steps = [200.0 * size / (1 + 2 * (size - 1)) for size in (1, 2, 4, 8, 16, 32)]
    assert [float(each.rstrip("~?")) for each in one[:-1]] == pytest.approx(steps, rel=0.1)
    assert [float(each.rstrip("~?")) for each in two[1:]] == pytest.approx([2 * each for each in steps], rel=0.1)
