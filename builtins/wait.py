"""wait: wait for agents to end and pass their status on, from any shell, also later. See wait(1)."""

import time

from llmsh.abi.errors import Error
from llmsh.abi.limits import PID_FIRST
from llmsh.lib import spawn, targets, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.conn import Connection
from llmsh.lib.forms import record
from llmsh.lib.leave import ending_of
from llmsh.lib.options import Usage, parse
from llmsh.lib.poll import readable

COMMAND = Command(
    "wait",
    "wait for processes to end; the status is the last one's",
    ("[-n] [--timeout SECONDS] [PID]...",),
    (
        flag("-n", "--next", help="wait for the first of them to end, not for all"),
        takes("--timeout", value="SECONDS", kind="seconds", help="give up with status 124 after this long"),
        JSON,
    ),
    operands="pid",
    notes="The statuses of the last 1,000 processes are kept, so waiting works from any shell and afterwards. "
    "127 is the status of a pid that is none of them.",
)


def _next(conn: Connection, asked: dict[int, int], until: float) -> tuple[int, dict[str, object] | None]:
    """The first pid of those asked about to be answered; None for one that is unknown."""
    while True:
        for pid, call in list(asked.items()):
            try:
                reply = conn.take(call)
            except Error as error:
                if error.code not in ("ESRCH", "ECHILD"):
                    raise
                term.complain("wait", targets.named(pid, error).detail)
                del asked[pid]
                return pid, None
            if reply is not None:
                del asked[pid]
                return pid, reply[0]
        left = max(0.0, until - time.monotonic()) if until else None
        came = left is None or readable(conn.fileno(), seconds=left)
        if not came and time.monotonic() >= until:
            raise Error("ETIMEDOUT", "timed out")
        if came and not conn.pump():
            raise Error("EHOSTDOWN", "the daemon went away")


def main(argv: list[str]) -> int:
    """Wait; the status of the last process named, or with -n of the first to end."""
    given = parse(COMMAND, argv)
    pids = [targets.pid(word) for word in given.operands]
    if any(pid < 0 for pid in pids):
        raise Usage("a pid, not a group")
    if not pids:
        return 0  # outside the shell there are no children of ours
    foreign = [pid for pid in pids if pid < PID_FIRST]
    for pid in foreign:
        term.complain("wait", f"{pid}: not a child of this shell")
    conn = spawn.remembering()
    if conn is None:
        for pid in set(pids) - set(foreign):
            term.complain("wait", targets.no_such(pid).detail)
        return 127
    asked = {pid: conn.begin("wait", pid=pid) for pid in pids if pid >= PID_FIRST}
    limit = given.real("timeout", 0)
    until = time.monotonic() + limit if given.flag("timeout") else 0.0
    codes = dict.fromkeys(foreign, 127)
    while asked:
        pid, reply = _next(conn, asked, until)
        codes[pid] = 127 if reply is None else ending_of(pid, reply).code
        if given.flag("json") and reply is not None:
            record(dict(reply))
        if given.flag("next"):
            return codes[pid]
    return codes[pids[-1]]
