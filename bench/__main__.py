"""`make bench`, `python -m bench [ROW]...`: measures, prints the table, writes JSON.

What a row measures is said in its file. Numbers in two columns of a pair are ours, then theirs.
"""

import argparse
import importlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from bench import place
from bench.row import SHORT, SKIPPED, Row, Skipped

ROWS = ("overhead", "first_token", "syscall", "startup", "memory", "kill", "total")
NEEDS_MODEL = ("overhead", "first_token", "memory", "kill", "total")
RESULTS = os.path.join("build", "bench.json")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures llm-sh against what it should reach.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of every engine; default 1")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="take X times as many samples")
    parser.add_argument("--json", default=RESULTS, metavar="FILE", help=f"where numbers go; default {RESULTS}")
    options = parser.parse_args()
    unknown = [each for each in options.rows if each not in ROWS]
    if unknown:
        parser.error(f"{unknown[0]}: no such row; there are {', '.join(ROWS)}")
    return options


def _measure(name: str, where: place.Place) -> Iterator[Row]:
    """The rows of one file as they come, or one that says why there are none."""
    try:
        if name in NEEDS_MODEL and not where.model:
            where = where._replace(model=place.model())
        yield from importlib.import_module(f"bench.{name}").rows(where)
    except Skipped as why:
        yield Row(name, "", str(why), SKIPPED, {})


def _command(name: str, where: place.Place) -> str:
    model = os.environ.get("MODEL")
    words = ["python", "-m", "bench", name, "--threads", str(where.threads)]
    return (f"MODEL={shlex.quote(model)} " if model else "") + shlex.join(words)


def _show(row: Row) -> None:
    print(f"{row.name:44} {row.target:14} {row.verdict:8} {row.value}", flush=True)


def _write(path: str, record: dict[str, Any]) -> None:
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


def _terminated(number: int, _frame: object) -> NoReturn:
    """Servers that were started are ended on the way out."""
    sys.exit(128 + number)


def main() -> int:
    """0, also when a target is missed: a benchmark reports."""
    options = _options()
    signal.signal(signal.SIGTERM, _terminated)
    where = place.Place("", options.threads, options.scale)
    record: dict[str, Any] = {"machine": place.machine(), "began": time.time(), "rows": []}
    print(f"{'row':44} {'target':14} {'verdict':8} value [95% interval], llm-sh and the other")
    missed = 0
    for name in options.rows or ROWS:
        command = _command(name, where)
        print(f"# {command}", flush=True)
        for row in _measure(name, where):
            _show(row)
            missed += row.verdict == SHORT
            record["rows"].append({**row._asdict(), "command": command})
            _write(options.json, record)
    print(f"{missed} short of the target; numbers in {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
