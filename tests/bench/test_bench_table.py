"""`python -m bench`: what needs no model is measured, what cannot be says why, in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.place import ROOT


def bench(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_rows_are_printed_and_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bench.json"
    done = bench("syscall", "--scale", "0.01", "--json", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert "null call, p50 and p99" in done.stdout
    record = json.loads(file.read_text())
    assert [row["name"].partition(",")[0] for row in record["rows"]] == ["null call"] + ["null calls a second"] * 2
    assert all(row["data"] and row["command"].startswith("python -m bench syscall") for row in record["rows"])
    assert record["machine"]["cores"] >= 1


def test_without_a_model_a_row_is_skipped_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = bench("memory", "--json", str(file), MODEL=str(tmp_path / "none.gguf"))
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(file.read_text())["rows"]
    assert row["verdict"] == "skipped"
    assert "no model" in row["value"]
    assert "\n" not in row["value"]


def test_a_row_that_there_is_not_is_refused() -> None:
    done = bench("speed")
    assert done.returncode == 2
    assert "speed: no such row" in done.stderr
