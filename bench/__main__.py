"""`make bench`, `python -m bench [ROW]...`: measures, prints the table, writes JSON and a chart.

What a row measures is said in its file. Numbers in two columns of a pair are ours, then theirs.
"""

import argparse
import importlib
import os
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from typing import NoReturn

from bench import chart, place
from bench.record import Record, build, key, read, table
from bench.row import FAILED, SHORT, SKIPPED, Row, Skipped
from llmsh.abi.errors import Error

WITHOUT_MODEL = ("syscall", "startup", "pick")
ROWS = (
    *("overhead", "first_token", *WITHOUT_MODEL, "memory", "kill", "total", "interactive", "full_cache"),
    *("heavy_tail", "flood", "shared_prompt", "idle_cells", "fork", "switch", "two_models", "sleepers"),
    *("batched", "python_server"),
)
RESULTS = os.path.join("build", "bench.json")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures llm-sh against what it should reach.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of rows of one core; default 1")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="take X times as many samples")
    parser.add_argument("--short", action="store_true", help="one pair of each: the same as --scale 0")
    parser.add_argument("--within", type=float, default=0.0, metavar="MIN", help="end after so many minutes; 0: never")
    parser.add_argument("--resume", action="store_true", help="leave out what FILE has of these programs and model")
    parser.add_argument("--json", default=RESULTS, metavar="FILE", help=f"where numbers go; default {RESULTS}")
    parser.add_argument("--table", metavar="FILE", help="print the numbers in FILE as Markdown, measure nothing")
    parser.add_argument("--chart", metavar="FILE", help="draw the numbers in FILE beside it, measure nothing")
    parser.add_argument(
        "-o", dest="options", action="append", default=[], metavar="KEY=VALUE",
        help="a key of llmshd.toml, for rows that leave the choice to the daemon",
    )  # fmt: skip
    options = parser.parse_args()
    unknown = [each for each in options.rows if each not in ROWS]
    if unknown:
        parser.error(f"{unknown[0]}: no such row; there are {', '.join(ROWS)}")
    for each in options.options:
        if "=" not in each:
            parser.error(f"{each}: expected KEY=VALUE")
    if options.short:
        options.scale = 0.0
    return options


def _measure(name: str, where: place.Place, seconds: float) -> Iterator[Row]:
    """The rows of one file as they come, or one that says why there are none; all within so many seconds, or 0."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        if name not in WITHOUT_MODEL and not where.model:
            where = where._replace(model=place.model())
        yield from importlib.import_module(f"bench.{name}").rows(where)
    except Skipped as why:
        yield Row(name, "", str(why), SKIPPED, {})
    except (AssertionError, OSError, RuntimeError, ValueError, Error, subprocess.SubprocessError) as error:
        # Hours of other rows are not lost to one; the line says what happened, and --resume tries again.
        traceback.print_exc()
        yield Row(name, "", f"{type(error).__name__}: {error}".partition("\n")[0][:200], FAILED, {})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _command(name: str, where: place.Place) -> str:
    """What repeats a row."""
    given = [f"{each}={shlex.quote(value)} " for each in ("MODEL", "MODEL2") if (value := os.environ.get(each))]
    words = ["python", "-m", "bench", name, "--threads", str(where.threads)]
    words += ["--scale", f"{where.scale:g}"] if where.scale != 1 else []
    words += [part for each in where.options for part in ("-o", each)]
    return "".join(given) + shlex.join(words)


def _show(row: Row) -> None:
    print(f"{row.name:70} {row.target:14} {row.verdict:8} {row.value}", flush=True)


def _draw(path: str) -> str:
    """Draw the chart of a file beside it; its name, or why there is none."""
    picture = f"{os.path.splitext(path)[0]}.png"
    try:
        chart.draw(read(path), picture)
    except ImportError:
        return "no chart: Pillow is missing"
    return picture


def _stored(options: argparse.Namespace) -> int:
    """`--table` and `--chart`."""
    path = options.table or options.chart
    try:
        print(table(read(path)) if options.table else _draw(path))
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _expired(_number: int, _frame: object) -> NoReturn:
    """`--within` is over: the row under way says so, and those after it."""
    raise Skipped("no time was left for it: --within")


def _terminated(number: int, _frame: object) -> NoReturn:
    """Servers that were started are ended on the way out."""
    sys.exit(128 + number)


def main() -> int:
    """0, also when a target is missed: a benchmark reports."""
    options = _options()
    if options.table or options.chart:
        return _stored(options)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGALRM, _expired)
    until = time.monotonic() + 60 * options.within
    where = place.Place("", options.threads, options.scale, tuple(options.options))
    try:
        # Rows that need none are measured all the same; the others say what is missing.
        where = where._replace(model=place.model())
    except Skipped:
        pass
    record, programs = Record(options.json, resume=options.resume), build()
    print(f"{'row':70} {'target':14} {'verdict':8} value [95% interval], llm-sh and the other")
    missed = 0
    for name in options.rows or ROWS:
        command, wanted = _command(name, where), key(name, where, programs)
        if options.resume and record.done(name, wanted):
            print(f"# {name}: measured already", flush=True)
            continue
        print(f"# {command}", flush=True)
        record.begin(name)
        began = time.monotonic()
        try:
            for row in _measure(name, where, max(0.001, until - began) if options.within else 0.0):
                _show(row)
                missed += row.verdict == SHORT
                record.add(name, row, command)
        except Skipped as late:  # the time was over between two lines of the row
            record.add(name, Row(name, "", str(late), SKIPPED, {}), command)
        record.end(name, wanted, time.monotonic() - began)
    record.write()
    print(f"{missed} short of the target; numbers in {options.json}; {_draw(options.json)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
