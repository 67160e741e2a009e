"""free: cells of the models' caches, or bytes. See free(1)."""

from llmsh.abi.light import Any, Callable
from llmsh.lib import calls, forms, spawn, table, term
from llmsh.lib.command import JSON, Command, flag
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "free",
    "show used and free cells of each model's cache",
    ("[-b | -k | -m | -g | -h] [-t] [--json]",),
    (
        flag("-b", "--bytes", help="in bytes"),
        flag("-k", "--kibi", help="in KiB"),
        flag("-m", "--mebi", help="in MiB"),
        flag("-g", "--gibi", help="in GiB"),
        flag("-h", "--human", help="in bytes with a unit that fits"),
        flag("-t", "--total", help="a line with the sums"),
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


def main(argv: list[str]) -> int:
    """One line a device; an empty machine has none."""
    given = parse(COMMAND, argv)
    if given.operands:
        raise Usage("it takes no argument")
    conn = spawn.running()
    rows: list[dict[str, Any]] = calls.free(conn) if conn else []
    if given.flag("json"):
        forms.records(rows)
        return 0
    suffix, write = _writer(next((unit for unit in ("human", *_UNITS) if given.flag(unit)), ""))
    lines = [(f"{row['model']}:", [row[key + suffix] for key in _KEYS]) for row in rows]
    if given.flag("total") or not rows:
        lines.append(
            ("Total:", [sum(values) for values in zip(*(line[1] for line in lines), strict=True)] or [0] * len(_KEYS))
        )
    columns = [table.Column("", width=8), *(table.Column(key, right=True, width=11) for key in _KEYS)]
    cells = [[name, *map(write, values)] for name, values in lines]
    term.out("\n".join(table.lines(columns, cells)) + "\n")
    return 0
