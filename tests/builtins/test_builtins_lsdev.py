"""lsdev: devices, their columns and records, over the fake model."""

import json
from pathlib import Path

import pytest

from llmsh.abi.records import LSDEV
from tests.support.client import NO_SPACE, into_full, llmsh, refused


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
