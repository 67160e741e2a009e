"""renice: change the nice value of running processes. See renice(1)."""

import os

from llmsh.abi.errors import Error
from llmsh.abi.nice import HIGHEST, LOWEST, clamp
from llmsh.lib import calls, targets, term
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "renice",
    "change the nice value of running processes",
    ("[-n] N [-p | -g] ID...", "--relative N [-p | -g] ID..."),
    (
        takes("-n", "--priority", value="N", kind="int", help="the new nice value, -20 to 19"),
        takes("--relative", value="N", kind="int", help="add N to the present value"),
        flag("-p", "--pid", help="what follows are process ids (as they are anyway)"),
        flag("-g", "--pgrp", help="what follows are ids of process groups"),
    ),
    operands="pid",
)


def _first(argv: list[str]) -> list[str]:
    """`renice -5 PID`: a bare number before everything else is the value, a sign included."""
    word = argv[0] if argv else ""
    if word.lstrip("+-").isdigit() and len(word.lstrip("+-")) >= len(word) - 1:
        return ["-n", word, *argv[1:]]
    return argv


def _machine(pid: int, value: int, relative: bool) -> tuple[int, int]:
    which, who = (os.PRIO_PGRP, -pid) if pid < 0 else (os.PRIO_PROCESS, pid)
    try:
        before = os.getpriority(which, who)
        os.setpriority(which, who, before + value if relative else value)
        return before, os.getpriority(which, who)
    except ProcessLookupError:
        raise targets.no_such(pid) from None
    except PermissionError:
        raise Error("EPERM", f"{pid}: permission denied") from None


def _agent(kernel: targets.Machine, pid: int, value: int, relative: bool) -> tuple[int, int]:
    conn = kernel.conn(pid)
    reach = HIGHEST - LOWEST
    value = max(-reach, min(reach, value)) if relative else clamp(value)  # as setpriority(2) does
    before = [row["nice"] for row in calls.ps(conn) if row["pid" if pid > 0 else "pgid"] == abs(pid)]
    return (before[0] if before else 0), calls.renice(conn, pid, value, relative)


def main(argv: list[str]) -> int:
    """Set each; 1 when one could not be."""
    given = parse(COMMAND, _first(argv))
    relative = given.flag("relative")
    if relative == given.flag("priority"):
        raise Usage("which nice value? (one of N and --relative N)")
    value = given.number("relative" if relative else "priority", 0)
    if not given.operands:
        raise Usage("which process?")
    kernel = targets.Machine()
    status = 0
    for word in given.operands:
        pid = targets.pid(word) * (-1 if given.flag("pgrp") else 1)
        try:
            before, after = (
                _agent(kernel, pid, value, relative) if targets.is_agent(pid) else _machine(pid, value, relative)
            )
        except Error as error:
            term.complain("renice", targets.named(pid, error).detail)
            status = 1
            continue
        term.line(f"{abs(pid)} (process {'group' if pid < 0 else 'ID'}) old priority {before}, new priority {after}")
    return status
