"""dmesg: the kernel's messages. See dmesg(1)."""

import time

from llmsh.abi.light import Any
from llmsh.lib import calls, forms, spawn, term
from llmsh.lib.command import JSON, Command, flag
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "dmesg",
    "print the kernel's messages",
    ("[-w] [-T | -t] [--json]",),
    (
        flag("-w", "--follow", help="wait for new messages"),
        flag("-f", help="the same"),
        flag("-W", "--follow-new", help="wait for new messages, without the old ones"),
        flag("-T", "--ctime", help="times of the day"),
        flag("-t", "--notime", help="no times"),
        JSON,
    ),
)


def _text(row: dict[str, Any], style: str) -> str:
    if style == "ctime":
        return f"[{time.ctime(row['time'])}] {row['line']}"
    if style == "notime":
        return str(row["line"])
    return f"[{row['up_ms'] / 1000:12.3f}] {row['line']}"


def main(argv: list[str]) -> int:
    """Print what is kept, and with -w what comes."""
    given = parse(COMMAND, argv)
    if given.operands:
        raise Usage("it takes no argument")
    conn = spawn.running()
    if conn is None:
        return 0
    style = next((name for name in ("ctime", "notime") if given.flag(name)), "")
    follow = any(given.flag(name) for name in ("follow", "f", "follow-new"))
    rows = calls.dmesg(conn)
    after = rows[-1]["n"] if rows else 0
    if given.flag("follow-new"):
        rows = []
    while True:
        if given.flag("json"):
            forms.records(rows)
        elif rows:
            term.out("".join(_text(row, style) + "\n" for row in rows))
        if not follow:
            return 0
        rows = calls.dmesg(conn, after, follow=True)
        after = rows[-1]["n"] if rows else after
