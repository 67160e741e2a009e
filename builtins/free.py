"""free: cells of the models' caches, or bytes. See free(1)."""

import time

from llmsh.abi.light import Any, Callable
from llmsh.lib import calls, forms, spawn, table, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.options import Given, Usage, bare

COMMAND = Command(
    "free",
    "show used and free cells of each model's cache",
    ("[-b | -k | -m | -g | -h] [-t] [-s SECONDS] [-c COUNT] [--json]",),
    (
        flag("-b", "--bytes", help="in bytes"),
        flag("-k", "--kibi", help="in KiB"),
        flag("-m", "--mebi", help="in MiB"),
        flag("-g", "--gibi", help="in GiB"),
        flag("-h", "--human", help="in bytes with a unit that fits"),
        flag("-t", "--total", help="a line with the sums"),
        takes("-s", "--seconds", value="SECONDS", kind="seconds", help="again after so long, until it is ended"),
        takes("-c", "--count", value="COUNT", kind="int", help="so many times, a second apart without -s"),
        JSON,
    ),
    notes="A cell holds one token's keys and values. Without an option it counts cells. shared: cells that processes "
    "hold together, counted once; cached: what ended processes began with, kept for who may come, and given up when "
    "anybody wants the room; swap: cells' worth of images outside the cache.",
)

_KEYS = ("total", "used", "free", "shared", "cached", "swap")
_UNITS = {"bytes": 1, "kibi": 1 << 10, "mebi": 1 << 20, "gibi": 1 << 30}


def _writer(unit: str) -> tuple[str, Callable[[int], str]]:
    """The suffix of the row's keys, and how a value is written."""
    if not unit:
        return "", str
    return "_bytes", forms.human if unit == "human" else lambda value: str(value // _UNITS[unit])


def _rows() -> list[dict[str, Any]]:
    conn = spawn.running()
    if conn is None:
        return []
    try:
        return calls.free(conn)
    finally:
        conn.close()


def _show(given: Given, rows: list[dict[str, Any]]) -> str:
    """The table: one line a device; an empty machine has none but the sums."""
    suffix, write = _writer(next((unit for unit in ("human", *_UNITS) if given.flag(unit)), ""))
    lines = [(f"{row['model']}:", [row[key + suffix] for key in _KEYS]) for row in rows]
    if given.flag("total") or not rows:
        lines.append(
            ("Total:", [sum(values) for values in zip(*(line[1] for line in lines), strict=True)] or [0] * len(_KEYS))
        )
    columns = [table.Column("", width=8), *(table.Column(key, right=True, width=11) for key in _KEYS)]
    cells = [[name, *map(write, values)] for name, values in lines]
    return "\n".join(table.lines(columns, cells)) + "\n"


def _times(given: Given) -> tuple[float, int]:
    """How long between two, and how many; 0 is for ever."""
    delay = given.real("seconds", 1)
    count = given.number("count", 0 if given.flag("seconds") else 1)
    if delay <= 0 or (given.flag("count") and count < 1):
        raise Usage("seconds and count are greater than 0")
    return delay, count


def main(argv: list[str]) -> int:
    """Once, or again and again; a blank line between two, as procps has it."""
    given = bare(COMMAND, argv)
    delay, count = _times(given)
    shown = 0
    while True:
        rows = _rows()
        if given.flag("json"):
            forms.records(rows)
        else:
            term.out("\n" * (shown > 0) + _show(given, rows))
        shown += 1
        if shown == count:
            return 0
        time.sleep(delay)
