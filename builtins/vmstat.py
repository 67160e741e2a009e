"""vmstat: what runs, where the cells are, what goes on a second, and how many cores do it. See vmstat(1)."""

import time

from llmsh.abi.light import Any
from llmsh.lib import calls, forms, spawn, term
from llmsh.lib.command import JSON, Command, flag
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "vmstat",
    "report processes, cells, swapping, tokens and cores",
    ("[-n] [-t] [--json] [DELAY [COUNT]]",),
    (
        flag("-n", "--one-header", help="the header once, not once a screen"),
        flag("-t", "--timestamp", help="with the time of the day"),
        JSON,
    ),
    notes="The first line is since the start, each one after it since the one before. Cells and tax are now, as are "
    "cores, threads and seats.",
)

_CELLS = ("runnable", "blocked", "swap", "used", "free", "highest", "tax_ms")
_RATES = ("swapped_in", "swapped_out", "tokens_in", "tokens_out", "steps")
_CORES = ("cores", "threads", "seats")
_COUNTS = ("changes", "moves")
"""Not by the second: they are so rare that it would be 0."""
_FIELDS = (*_CELLS, *_RATES, *_CORES, *_COUNTS)
_HEADER = (
    "procs -------------cells------------- ---swap-- tokens/steps- ------cores-------",
    " r  b  swpd   used   free   high  tax   si   so   in  out   n co th seat chg mov",
)
_WIDTHS = (2, 2, 5, 6, 6, 6, 4, 4, 4, 4, 4, 3, 2, 2, 4, 3, 3)
"""In all 80 columns, until a number is larger than these."""
_LINES = 22
"""Lines between two headers."""


def _since(row: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """What went on between two records, most of it a second."""
    # A daemon that was started anew counts from 0; it may be up for longer by now than the last one was.
    counts = ("up_ms", *_RATES, *_COUNTS)
    if any(row[name] < before.get(name, 0) for name in counts):
        before = {}
    passed = {name: row[name] - before.get(name, 0) for name in counts}
    seconds = max(1, passed.pop("up_ms")) / 1000
    now = {name: row[name] for name in (*_CELLS, *_CORES)}
    return now | passed | {name: round(passed[name] / seconds, 1) for name in _RATES}


def _line(row: dict[str, Any], stamp: bool) -> str:
    values = [f"{row[name]:.2f}" if name == "tax_ms" else str(round(row[name])) for name in _FIELDS]
    text = " ".join(value.rjust(width) for value, width in zip(values, _WIDTHS, strict=True))
    return f"{text} {time.strftime('%Y-%m-%d %H:%M:%S')}" if stamp else text


def _numbers(operands: list[str]) -> tuple[float, int]:
    """Delay and count; without a delay one line, without a count for ever (0)."""
    if len(operands) > 2:
        raise Usage("it takes a delay and a count")
    try:
        delay = float(operands[0]) if operands else 0.0
        count = int(operands[1]) if len(operands) > 1 else 0 if operands else 1
    except ValueError:
        raise Usage("delay and count are numbers") from None
    if (operands and not 0 < delay <= 86_400) or (len(operands) > 1 and count < 1):
        raise Usage("delay and count are greater than 0")
    return delay, count


def main(argv: list[str]) -> int:
    """A line now, and one after each delay; an empty machine does nothing."""
    given = parse(COMMAND, argv)
    delay, count = _numbers(given.operands)
    before: dict[str, Any] = {}
    shown = 0
    while True:
        conn = spawn.running()
        row = calls.vmstat(conn) if conn else {"up_ms": 0} | dict.fromkeys(_FIELDS, 0)
        if conn is not None:
            conn.close()
        since, before = _since(row, before), row
        if given.flag("json"):
            forms.record(since)
        else:
            header = shown == 0 or (not given.flag("one-header") and shown % _LINES == 0)
            lines = [*(_HEADER if header else ()), _line(since, given.flag("timestamp"))]
            term.out("\n".join(lines) + "\n")
        shown += 1
        if shown == count:
            return 0
        time.sleep(delay)
