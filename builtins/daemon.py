"""daemon: start, stop and look at llmshd. See daemon(1)."""

import os
import select

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.light import signal
from llmsh.lib import calls, conn, forms, spawn, term
from llmsh.lib.command import JSON, Command, takes
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "daemon",
    "see, start, stop or restart the daemon that owns the models and processes",
    ("status [--json]", "start", "stop [--grace SECONDS]", "restart [--grace SECONDS]"),
    (JSON, takes("--grace", value="SECONDS", kind="seconds", help="from TERM to KILL for every process (2)")),
    choices=("status", "start", "stop", "restart"),
    notes="When no daemon runs, status ends with 3, and stop with 0 and a line on standard error: what was asked for "
    "is so. Other commands start one by themselves when they need it.",
)

NOT_RUNNING = 3
"""Status of a service that does not run. Source: LSB init scripts, systemctl(1)."""
_PATIENCE_MS = 10_000


def _status(json: bool) -> int:
    link = spawn.running()
    if link is None:
        if json:
            forms.record({"running": False, "socket": paths.socket()})
        else:
            term.line("llmshd is not running")
        return NOT_RUNNING
    up = calls.uptime(link)
    hello = link.hello
    if json:
        forms.record({"running": True, "pid": hello["pid"], "build": hello["build"], "socket": paths.socket(), **up})
        return 0
    term.line(f"llmshd {hello['build']} runs as pid {hello['pid']}, up {forms.duration(up['up_ms'] / 1000)}")
    term.line(f"socket     {paths.socket()}")
    term.line(f"log        {spawn.log_file()}")
    term.line(f"processes  {up['processes']}, {up['runnable']} runnable")
    return 0


def _ask_to_leave(grace: float) -> int:
    """Ask in order; a daemon that is deaf or speaks another version gets TERM. Its OS pid, 0 for none."""
    try:
        link = conn.dial()
        pid = int(link.hello["pid"])
        calls.shutdown(link, int(grace * 1000))
        return pid
    except Error as exc:
        if exc.code not in ("EHOSTDOWN", "EVERSION", "EPROTO"):
            raise
    pid = spawn.holder()
    if pid:
        os.kill(pid, signal.SIGTERM)
    return pid


def _await_end(pid: int, grace: float) -> None:
    """Until that OS process has ended. Raises Error ETIMEDOUT."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    ended = poller.poll(grace * 1000 + _PATIENCE_MS)
    os.close(fd)
    if not ended:
        raise Error("ETIMEDOUT", f"llmshd (pid {pid}) does not end; kill -KILL {pid} ends it")


def _stop(grace: float) -> bool:
    pid = _ask_to_leave(grace)
    if pid:
        _await_end(pid, grace)
    return bool(pid)


def main(argv: list[str]) -> int:
    """One of the four verbs."""
    given = parse(COMMAND, argv)
    verb = given.operands[0] if given.operands else "status"
    if verb not in COMMAND.choices or len(given.operands) > 1:
        raise Usage(f"{' '.join(given.operands)}: one of {', '.join(COMMAND.choices)}")
    grace = given.real("grace", 2.0)
    if verb == "status":
        return _status(given.flag("json"))
    if verb in ("stop", "restart") and not _stop(grace) and verb == "stop":
        term.complain("daemon", "llmshd is not running")  # and 0, as LSB has it of a service that is down
    if verb in ("start", "restart"):
        spawn.connect()
    return 0
