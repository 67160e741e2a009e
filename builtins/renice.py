"""renice: change the nice value of running processes. See renice(1)."""

import os

from llmsh.abi.errors import Error
from llmsh.abi.light import Any, NamedTuple
from llmsh.abi.limits import INIT
from llmsh.abi.nice import HIGHEST, LOWEST, clamp
from llmsh.lib import calls, processes, targets, term
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "renice",
    "change the nice value of running processes",
    ("[-n] N [-p] PID...", "[-n] N -g PGID...", "[-n] N -u USER...", "--relative N [-p | -g | -u] ID..."),
    (
        takes("-n", "--priority", value="N", kind="int", help="the new nice value, -20 to 19"),
        takes("--relative", value="N", kind="int", help="add N to the present value"),
        flag("-p", "--pid", help="what follows are process ids (as they are anyway)"),
        flag("-g", "--pgrp", help="what follows are ids of process groups"),
        flag("-u", "--user", help="what follows are users, by name or number: all agents are yours"),
    ),
    operands="pid",
    notes="-p, -g and -u hold for the operands after them, until the next: renice 5 4194305 -g 4194310.",
)

_WHAT = {"pid": "process ID", "pgrp": "process group", "user": "user ID"}


class _Whom(NamedTuple):
    """One operand: what it names, and the number; a process's may be negative, too, and is a group's then."""

    what: str
    number: int
    word: str

    @property
    def target(self) -> int:
        """As renice(2) takes it."""
        return -self.number if self.what == "pgrp" else self.number


def _first(argv: list[str]) -> list[str]:
    """`renice -5 PID`: a bare number before everything else is the value, a sign included."""
    word = argv[0] if argv else ""
    if word.lstrip("+-").isdigit() and len(word.lstrip("+-")) >= len(word) - 1:
        return ["-n", word, *argv[1:]]
    return argv


def _read(argv: list[str]) -> tuple[dict[str, Any], list[_Whom]]:
    """Options and whom: each operand is of the kind named last before it. Raises Usage."""
    kinds = {name: option.name for option in COMMAND.options if not option.value for name in option.flags}
    marks = [at for at, word in enumerate(argv) if word in kinds]
    options: dict[str, Any] = {}
    whom: list[_Whom] = []
    for start, end in zip([0, *marks], [*marks, len(argv)], strict=True):
        given = parse(COMMAND, argv[start:end])
        options |= given.options
        what = next((name for name in reversed(given.options) if name in _WHAT), "pid")
        whom += [_whom(word, what) for word in given.operands]
    return options, whom


def _whom(word: str, what: str) -> _Whom:
    if what == "user":
        return _Whom(what, os.getuid(), word)
    number = targets.pid(word)
    if number < 0:
        if what == "pgrp":
            raise Usage(f"{word}: not a process group")
        return _Whom("pgrp", -number, word)
    return _Whom(what, number, word)


def _machine(whom: _Whom, value: int, relative: bool) -> tuple[int, int]:
    which = os.PRIO_PGRP if whom.what == "pgrp" else os.PRIO_PROCESS
    try:
        before = os.getpriority(which, whom.number)
        os.setpriority(which, whom.number, before + value if relative else value)
        return before, os.getpriority(which, whom.number)
    except ProcessLookupError:
        raise targets.no_such(whom.target) from None
    except PermissionError:
        raise Error("EPERM", f"{whom.target}: permission denied") from None


def _agents(kernel: targets.Machine, whom: _Whom, value: int, relative: bool) -> tuple[int, int]:
    """Of several the least nice value counts, as getpriority(2) has it."""
    conn = kernel.conn(whom.target)
    key = "pid" if whom.what == "pid" else "pgid"
    before = min((row["nice"] for row in calls.ps(conn) if row[key] == whom.number), default=0)
    calls.renice(conn, whom.target, value, relative)
    return before, clamp(before + value if relative else value)


def _user(kernel: targets.Machine, whom: _Whom, value: int, relative: bool) -> tuple[int, int]:
    """Every agent: all are of the one user that the daemon serves. Processes of the machine are not touched."""
    conn = kernel.running() if processes.is_user(whom.word) else None
    rows = [row for row in calls.ps(conn) if row["pid"] != INIT] if conn else []
    if conn is None or not rows:
        raise Error("ESRCH", f"{whom.word}: no process of this user")
    for row in rows:
        try:
            calls.renice(conn, row["pid"], value, relative)
        except Error as error:
            if error.code != "ESRCH":  # it ended meanwhile
                raise
    before = min(row["nice"] for row in rows)
    return before, clamp(before + value if relative else value)


def _renice(kernel: targets.Machine, whom: _Whom, value: int, relative: bool) -> tuple[int, int]:
    """The nice value before and after."""
    if whom.what != "user" and not targets.is_agent(whom.target):
        return _machine(whom, value, relative)
    reach = HIGHEST - LOWEST
    value = max(-reach, min(reach, value)) if relative else clamp(value)  # as setpriority(2) does
    return (_user if whom.what == "user" else _agents)(kernel, whom, value, relative)


def main(argv: list[str]) -> int:
    """Set each; 1 when one could not be."""
    options, everybody = _read(_first(argv))
    relative = "relative" in options
    if relative == ("priority" in options):
        raise Usage("which nice value? (one of N and --relative N)")
    if not everybody:
        raise Usage("which process?")
    kernel = targets.Machine()
    status = 0
    for whom in everybody:
        try:
            before, after = _renice(kernel, whom, options["relative" if relative else "priority"], relative)
        except Error as error:
            term.complain("renice", error.detail if whom.what == "user" else targets.named(whom.target, error).detail)
            status = 1
            continue
        term.line(f"{whom.number} ({_WHAT[whom.what]}) old priority {before}, new priority {after}")
    return status
