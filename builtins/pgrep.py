"""pgrep: the pids of processes that match a pattern. See pgrep(1)."""

from llmsh.lib import calls, forms, match, spawn, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.options import parse

COMMAND = Command(
    "pgrep",
    "list the pids of processes whose agent's name matches a pattern",
    ("[OPTION]... PATTERN",),
    (
        *match.OPTIONS,
        flag("-c", "--count", help="how many, instead of the pids"),
        flag("-l", "--list-name", help="the agent's name, too"),
        flag("-a", "--list-full", help="the command line, too"),
        takes("-d", "--delimiter", value="TEXT", help="between pids, in place of a new line"),
        JSON,
    ),
    operands="agent",
    notes="PATTERN is a regular expression of Python's. The status is 1 when nothing matches.",
)


def main(argv: list[str]) -> int:
    """Print; 1 when nothing matched."""
    given = parse(COMMAND, argv)
    conn = spawn.running()
    rows = match.select(given, calls.ps(conn) if conn else [])
    if given.flag("json"):
        forms.records(rows)
        return int(not rows)
    if given.flag("count"):
        term.line(str(len(rows)))
        return int(not rows)
    texts = [str(row["pid"]) for row in rows]
    if given.flag("list-full"):
        texts = [f"{row['pid']} {row['args']}" for row in rows]
    elif given.flag("list-name"):
        texts = [f"{row['pid']} {row['agent']}" for row in rows]
    if texts:
        term.line(given.text("delimiter", "\n").join(texts))
    return int(not rows)
