"""lsdev: the devices, that is the models that are loaded and their engines. See lsdev(1)."""

from llmsh.abi.records import LSDEV
from llmsh.lib import calls, forms, spawn, table, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "lsdev",
    "list devices: loaded models, their engines and cores",
    ("[-o COLUMNS] [-n] [--json]",),
    (
        takes("-o", "--output", value="COLUMNS", help="these columns, joined by commas; +COLUMNS adds them"),
        flag("-n", "--noheadings", help="no header"),
        JSON,
    ),
    notes="Columns: " + ", ".join(LSDEV) + ".",
)

_USUAL = ("name", "kind", "model", "pid", "state", "threads", "cores", "cells", "cells_used")


def _columns(text: str) -> list[str]:
    names = [*_USUAL, *text[1:].split(",")] if text.startswith("+") else text.split(",") if text else list(_USUAL)
    for name in names:
        if name not in LSDEV:
            raise Usage(f"{name}: no such column (lsdev --help lists them)")
    return names


def main(argv: list[str]) -> int:
    """One line a device."""
    given = parse(COMMAND, argv)
    if given.operands:
        raise Usage("it takes no argument")
    names = _columns(given.text("output").lower())
    conn = spawn.running()
    rows = calls.lsdev(conn) if conn else []
    if given.flag("json"):
        forms.records(rows)
        return 0
    numeric = {name for name in names if any(isinstance(row.get(name), int) for row in rows)}
    columns = [table.Column(name.upper().replace("_", "-"), name in numeric) for name in names]
    cells = [[str(row.get(name, "-")) for name in names] for row in rows]
    lines = table.lines(columns, cells, width=term.columns(), header=not given.flag("noheadings"))
    if lines:
        term.out("\n".join(lines) + "\n")
    return 0
