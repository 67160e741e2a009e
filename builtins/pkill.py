"""pkill: send a signal to processes that match a pattern. See pkill(1)."""

from llmsh.abi import signals
from llmsh.abi.errors import Error
from llmsh.lib import calls, match, spawn, targets, term
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.options import parse

COMMAND = Command(
    "pkill",
    "send a signal to processes whose agent's name matches a pattern",
    ("[-SIGNAL] [OPTION]... PATTERN",),
    (
        takes("--signal", value="SIGNAL", help="which signal, by name or number (TERM)", complete="signal"),
        *match.OPTIONS,
        flag("-c", "--count", help="print how many matched"),
        flag("-e", "--echo", help="print what is signalled"),
    ),
    operands="agent",
    notes="PATTERN is a regular expression of Python's. The status is 1 when nothing matches.",
)


def _signal(argv: list[str]) -> list[str]:
    """`-9` and `-KILL` as the first word."""
    name = argv[0][1:] if argv and argv[0].startswith("-") else ""
    if name.isdigit() or len(name) > 1:
        try:
            signals.number(name)
        except ValueError:
            return argv
        return ["--signal", name, *argv[1:]]
    return argv


def main(argv: list[str]) -> int:
    """Signal each that matches; 1 when none does."""
    given = parse(COMMAND, _signal(argv))
    number = targets.signal(given.text("signal", "TERM"))
    conn = spawn.running()
    rows = [row for row in match.select(given, calls.ps(conn) if conn else []) if targets.is_agent(row["pid"])]
    sent = 0
    for row in rows:
        try:
            calls.kill(conn, row["pid"], number) if conn else None
        except Error as error:
            if error.code != "ESRCH":  # it ended by itself meanwhile
                term.complain("pkill", targets.named(row["pid"], error).detail)
            continue
        sent += 1
        if given.flag("echo"):
            term.line(f"{row['agent']} killed (pid {row['pid']})")
    if given.flag("count"):
        term.line(str(sent))
    return int(not sent)
