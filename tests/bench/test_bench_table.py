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


def test_a_row_that_breaks_is_told_and_the_others_are_measured(tmp_path: Path) -> None:
    file, model = tmp_path / "bench.json", tmp_path / "bad.gguf"
    model.write_bytes(b"GGUF and then nothing")
    done = bench("idle_cells", "syscall", "--short", "--json", str(file), MODEL=str(model))
    assert done.returncode == 0
    rows = json.loads(file.read_text())["rows"]
    assert [(row["row"], row["verdict"]) for row in rows][:2] == [("idle_cells", "failed"), ("syscall", "-")]
    assert "bad.gguf" in rows[0]["value"]
    assert "\n" not in rows[0]["value"]
    assert (tmp_path / "bench.png").exists()


def test_resumed_rows_are_not_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    words = ("syscall", "--short", "--resume", "--json", str(file))
    assert "measured already" not in bench(*words).stdout
    before = json.loads(file.read_text())
    assert "# syscall: measured already" in bench(*words).stdout
    assert json.loads(file.read_text()) == before
    assert "measured already" not in bench(*words, "--threads", "2").stdout


def test_time_that_is_over_ends_the_rows_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = bench("syscall", "startup", "--within", "0.0001", "--json", str(file))
    assert done.returncode == 0
    rows = json.loads(file.read_text())["rows"]
    assert [(row["row"], row["verdict"]) for row in rows] == [("syscall", "skipped"), ("startup", "skipped")]
    assert all("no time was left" in row["value"] for row in rows)
