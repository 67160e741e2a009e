"""uptime: how long the kernel has been up, and its load. See uptime(1)."""

import time

from llmsh.lib import calls, forms, spawn, term
from llmsh.lib.command import JSON, Command, flag
from llmsh.lib.options import bare

COMMAND = Command(
    "uptime",
    "tell how long the kernel has been up, and how many processes wanted to run",
    ("[-p | -s | --json]",),
    (
        flag("-p", "--pretty", help="only how long, in words"),
        flag("-s", "--since", help="only since when"),
        JSON,
    ),
    notes="The load averages count processes that run or could run, over the last 1, 5 and 15 minutes.",
)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _pretty(seconds: float) -> str:
    minutes = int(seconds) // 60
    parts = [(minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute")]
    return "up " + (", ".join(_plural(count, word) for count, word in parts if count) or "0 minutes")


def main(argv: list[str]) -> int:
    """One line; an empty machine has been up for no time."""
    given = bare(COMMAND, argv)
    conn = spawn.running()
    up = calls.uptime(conn) if conn else {}
    if given.flag("json"):
        forms.record({"running": conn is not None, **up})
        return 0
    if not up:
        term.line("llmshd is not running")
        return 0
    if given.flag("pretty"):
        term.line(_pretty(up["up_ms"] / 1000))
    elif given.flag("since"):
        term.line(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(up["started"])))
    else:
        load = ", ".join(f"{value:.2f}" for value in up["load"])
        term.line(
            f" {time.strftime('%H:%M:%S')} up {forms.duration(up['up_ms'] / 1000)},  "
            f"{_plural(up['sessions'], 'session')},  load average: {load}"
        )
    return 0
