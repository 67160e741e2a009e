"""logs: what a detached process has written, also after its end. See logs(1)."""

from llmsh.abi.errors import Error
from llmsh.lib import calls, spawn, targets, term
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.conn import Connection
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "logs",
    "print what a detached process has written",
    ("[-f] [-n LINES] PID",),
    (
        flag("-f", "--follow", help="go on printing until the process ends"),
        takes("-n", "--lines", value="LINES", kind="int", help="only the last so many lines"),
    ),
    operands="pid",
)

_BLOCK = 16 << 10


def _whole(conn: Connection, pid: int, start: int = 0) -> tuple[bytes, int]:
    """All bytes from `start` that are there now, and the offset after them."""
    parts: list[bytes] = []
    offset = start
    while True:
        data, offset, _ = calls.logs(conn, pid, offset)
        if not data:
            return b"".join(parts), offset
        parts.append(data)


def _tail(conn: Connection, pid: int, lines: int) -> tuple[bytes, int]:
    """The last lines, read from the end in growing pieces."""
    size = _BLOCK
    while True:
        data, offset = _whole(conn, pid, -size)
        kept = data.splitlines(keepends=True)
        if len(kept) > lines or len(data) < size:
            return b"".join(kept[max(0, len(kept) - lines) :]), offset
        size *= 4


def main(argv: list[str]) -> int:
    """Print a log, and with -f what comes; 1 when there is none."""
    given = parse(COMMAND, argv)
    if len(given.operands) != 1:
        raise Usage("which process? (one pid)")
    pid = targets.pid(given.operands[0])
    lines = given.number("lines", 0)
    if lines < 0:
        raise Usage(f"-n: {lines} is no number of lines")
    conn = spawn.remembering()
    if conn is None:
        raise targets.no_such(pid)
    try:
        data, offset = _tail(conn, pid, lines) if given.flag("lines") else _whole(conn, pid)
    except Error as error:
        if error.code != "ENOENT":
            raise
        term.complain("logs", error.detail)
        return 1  # a file that is not there, not a command
    screen = term.Stream(1)
    screen.write(data)
    eof = not given.flag("follow")
    while not eof:
        data, offset, eof = calls.logs(conn, pid, offset, follow=True)
        screen.write(data)
    screen.end()
    return 0
