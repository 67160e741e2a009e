"""dmesg: the kernel's messages. See dmesg(1)."""

import time

from llmsh.abi.levels import LEVELS
from llmsh.abi.light import Any
from llmsh.lib import calls, forms, spawn, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.options import Usage, bare

COMMAND = Command(
    "dmesg",
    "print the kernel's messages",
    ("[-w] [-l LEVELS] [-x] [-T | -t] [--json]",),
    (
        flag("-w", "--follow", help="wait for new messages"),
        flag("-f", help="the same"),
        flag("-W", "--follow-new", help="wait for new messages, without the old ones"),
        takes("-l", "--level", value="LEVELS", help="only of these levels, joined by commas; warn+ is warn and graver"),
        flag("-x", "--decode", help="with the level of each"),
        flag("-T", "--ctime", help="times of the day"),
        flag("-t", "--notime", help="no times"),
        JSON,
    ),
    notes="Levels, the gravest first: " + ", ".join(LEVELS) + ".",
)


def _levels(text: str) -> frozenset[str]:
    """The levels of a list; `err+` is that level and those above it, as util-linux has it. Raises Usage."""
    found: set[str] = set()
    for word in text.split(","):
        name = word.rstrip("+")
        if name not in LEVELS or word not in (name, f"{name}+"):
            raise Usage(f"{word!r} is no level; there are {', '.join(LEVELS)}")
        at = LEVELS.index(name)
        found |= {*LEVELS[: at + 1]} if word != name else {name}
    return frozenset(found)


def _level(row: dict[str, Any]) -> str:
    """Of a message; a daemon of an earlier minor version says none."""
    return str(row.get("level", "info"))


def _text(row: dict[str, Any], style: str, decode: bool) -> str:
    level = f"{_level(row):<6}: " if decode else ""
    stamp = f"[{row['up_ms'] / 1000:12.3f}] "
    if style:
        stamp = f"[{time.ctime(row['time'])}] " if style == "ctime" else ""
    return f"{level}{stamp}{row['line']}"


def main(argv: list[str]) -> int:
    """Print what is kept, and with -w what comes."""
    given = bare(COMMAND, argv)
    wanted = _levels(given.text("level", ",".join(LEVELS)))
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
        shown = [row for row in rows if _level(row) in wanted]
        if given.flag("json"):
            forms.records(shown)
        elif shown:
            term.out("".join(_text(row, style, given.flag("decode")) + "\n" for row in shown))
        if not follow:
            return 0
        rows = calls.dmesg(conn, after, follow=True)
        after = rows[-1]["n"] if rows else after
