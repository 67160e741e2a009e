"""What is written as it comes, what need not be measured again, and the picture of it."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import chart, record
from bench.place import ROOT, Place
from bench.record import Record
from bench.row import FAILED, NOTE, OK, SHORT, SKIPPED, Row, judged

WHERE = Place("", 1, 1.0)


def row(name: str, value: str = "1.20 [1.1, 1.3], 12 and 10", verdict: str = OK) -> Row:
    return Row(name, ">= 0.97", value, verdict, {"ratio": {"median": 1.2, "low": 1.1, "high": 1.3}})


def names(path: str) -> list[str]:
    return [str(each["name"]) for each in record.read(path)["rows"]]


def test_a_row_is_on_disk_as_soon_as_it_is_measured(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "bench.json")
    book = Record(path)
    book.begin("flood")
    book.add("flood", row("one"), "python -m bench flood")
    assert names(path) == ["one"]
    assert not Record(path, resume=True).done("flood", "k"), "an interrupted row is measured again"
    book.add("flood", row("two"), "python -m bench flood")
    book.end("flood", "k", 3.0)
    again = Record(path, resume=True)
    assert again.done("flood", "k")
    assert not again.done("flood", "other")
    assert not again.done("kill", "k")
    assert list(tmp_path.glob("new/*")) == [Path(path)], "nothing else is left"


def test_a_row_measured_again_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = str(tmp_path / "bench.json")
    book = Record(path)
    for name in ("kill", "flood"):
        book.begin(name)
        book.add(name, row(f"old {name}"), "")
        book.end(name, "k", 1.0)
    again = Record(path, resume=True)
    again.begin("kill")
    again.add("kill", row("new kill"), "")
    assert names(path) == ["old flood", "new kill"]
    assert not again.done("kill", "k")
    assert Record(path).data["rows"] == [], "without resume all is measured"


@pytest.mark.parametrize("verdict", [SKIPPED, FAILED])
def test_what_was_skipped_or_failed_is_tried_again(tmp_path: Path, verdict: str) -> None:
    book = Record(str(tmp_path / "bench.json"))
    book.begin("memory")
    book.add("memory", row("engine"), "")
    book.add("memory", Row("memory", "", "no model", verdict, {}), "")
    book.end("memory", "k", 0.1)
    assert not book.done("memory", "k")


def test_the_key_follows_program_model_and_options(tmp_path: Path) -> None:
    model = tmp_path / "a.gguf"
    model.write_bytes(b"GGUF" + bytes(3 << 20))
    here = WHERE._replace(model=str(model))
    first = record.key("flood", here, "build")
    assert first == record.key("flood", here, "build")
    others = [
        record.key("flood", here, "another build"),
        record.key("kill", here, "build"),
        record.key("flood", here._replace(threads=2), "build"),
        record.key("flood", here._replace(options=("policy=rr",)), "build"),
        record.key("flood", WHERE, "build"),
    ]
    model.write_bytes(b"GGUF" + bytes((3 << 20) - 1) + b"x")
    others.append(record.key("flood", here, "build"))
    assert len({first, *others}) == 1 + len(others)
    assert record.build() == record.build() != ""


def test_a_table_is_made_of_the_numbers(tmp_path: Path) -> None:
    path = str(tmp_path / "bench.json")
    book = Record(path)
    book.add("flood", row("a | b"), "")
    book.end("flood", "k", 1.0)
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--table", path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2] == "| a \\| b | at least 0.97 | 1.20 [1.1, 1.3], 12 and 10 | ok |"
    path = str(tmp_path / "none.json")
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--table", path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def as_record(row: Row) -> dict[str, Any]:
    return {"row": "x", **row._asdict()}


@pytest.mark.parametrize(
    ("target", "value", "data", "score"),
    [
        (">= 0.5", "", {"ratio": {"median": 2.0}}, 4.0),
        ("<= 40 ms", "", {"ratio": {"median": 3.0}, "difference_ms": {"median": 20.0}}, 2.0),
        ("p99 <= 150 ms", "p50 1.0, p99 300.0, most 301 ms", {}, 0.5),
        ("<= 60 MB", "30.0 MB", {}, 2.0),
        ("<= 40 MB", "+26.7 MB, 1,362.5 and 335.8", {"measured": 80}, 0.5),
        (">= 12", "", {"measured": 0}, 1 / chart.MOST),
        ("<= 40 ms", "", {"difference_ms": {"median": -207.0}}, chart.MOST),
    ],
)
def test_bars_end_right_of_one_where_the_target_is_met(
    target: str, value: str, data: dict[str, Any], score: float
) -> None:
    (found,) = chart.bars([as_record(judged("x", target, value, score >= 1, data))])
    assert found.score == pytest.approx(score)
    assert found.good == (score >= 1)


def test_rows_without_a_target_have_no_bar() -> None:
    assert chart.bars([as_record(Row("x", "", "54 us", NOTE, {}))]) == []
    assert chart.bars([as_record(Row("x", ">= 1", "no model", SKIPPED, {}))]) == []


def test_the_chart_is_a_png_with_a_line_a_row(tmp_path: Path) -> None:
    book = Record(str(tmp_path / "bench.json"))
    for number in range(5):
        book.add(
            "total", row(f"a row with a name that goes on and on, {number}" * 3, verdict=(OK, SHORT)[number % 2]), ""
        )
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--chart", book.path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    data = (tmp_path / "bench.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.rstrip().endswith(b"IEND\xaeB`\x82")
    assert struct.unpack_from("!II", data, 16) == (chart.WIDTH, chart.TOP + 6 * chart.LINE)
