"""lsdev: devices, their columns and records, over the fake model."""

import json
from pathlib import Path

import pytest

from llmsh.abi.records import LSDEV, RATES
from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.daemon import Daemon


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
    device, chosen, back, rent, core, cost, head, row = llmsh("lsdev", "-l").stdout.splitlines()
    assert "11 of 11 points measured" in device
    assert chosen.startswith("chosen: 1 cores of 1 threads (1 for input), 1 sequences a step")
    assert back.startswith("a token comes back in 0.001")
    assert back.endswith("swap file: - MB/s written, - MB/s read")
    assert rent == "a cell below the highest one costs 0 ns a token, whoever has it"
    assert core.startswith("core 0: ")
    assert core.endswith("tax 0.00 ms a step")
    assert cost.startswith("input costs 0.0")
    assert head.split()[:4] == ["cores", "threads", "1", "2"]
    assert row.split()[:2] == ["*1", "1"]
    assert [float(value.rstrip("~?")) for value in row.split()[2:]] == pytest.approx(
        [size * 1000 / (5 + 0.5 * (size - 1)) for size in (1, 2, 4, 8, 16, 32)]
        + [size * 1000 / (5 + 0.2 * (size - 1)) for size in (32, 64, 128, 256, 512)],
        rel=0.1,
    )
