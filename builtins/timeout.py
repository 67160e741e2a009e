"""timeout: run a command, an agent or a program, for a limited time. See timeout(1)."""

import os
import time

from llmsh.abi import signals
from llmsh.abi.light import signal
from llmsh.lib import launch, targets, term
from llmsh.lib.catch import Catcher
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.leave import Ending, die_by, leave
from llmsh.lib.options import Usage, parse, seconds
from llmsh.lib.poll import readable

COMMAND = Command(
    "timeout",
    "run a command and end it when it takes too long",
    ("[-s SIGNAL] [-k SECONDS] SECONDS COMMAND [ARGUMENT]...",),
    (
        takes("-s", "--signal", value="SIGNAL", help="what to send at the time limit (TERM)", complete="signal"),
        takes("-k", "--kill-after", value="SECONDS", kind="seconds", help="send KILL, too, so long after that"),
        flag("--preserve-status", help="end with the command's status even when it ran out of time"),
        flag("--foreground", help="accepted; the command always stays in the foreground"),
        flag("-v", "--verbose", help="say on standard error when a signal is sent"),
    ),
    operands="command",
    posix=True,
    alone=True,
    notes="Times are 5, 1.5, 2m, 1h, 1d; 0 is no limit. The status is 124 when the time ran out, 137 when it took "
    "KILL, 126 or 127 when the command could not be run, else the command's.",
)

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def _child(words: list[str]) -> int:
    """Fork; the child becomes the command with the signals that we found."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(launch.execute(words))
        finally:
            os._exit(126)
    return child


def _ended(pidfd: int, caught: Catcher, until: float) -> bool:
    """Wait until the child has ended or the time has come; signals of ours are the child's."""
    while True:
        left = None if until == float("inf") else until - time.monotonic()
        if left is not None and left <= 0:
            return False
        ready = readable(pidfd, caught.fileno(), seconds=left)
        if pidfd in ready:
            return True
        for number in caught.read():
            signal.pidfd_send_signal(pidfd, number)


def main(argv: list[str]) -> int:
    """Run, wait, signal; does not return but with an error."""
    given = parse(COMMAND, argv)
    if len(given.operands) < 2:
        raise Usage("for how long, and which command?")
    word, *words = given.operands
    try:
        limit = seconds(word)
    except ValueError:
        raise Usage(f"{word!r} is not a time") from None
    number = targets.signal(given.text("signal", "TERM"))
    launch.known(words)
    grace = given.real("kill-after", 0)
    steps = [(limit, number), *([(grace, signal.SIGKILL)] if grace else [])] if limit else []
    child = _child(words)
    pidfd = os.pidfd_open(child)
    sent = 0
    with Catcher(_PASSED_ON) as caught:
        for wait, sig in steps:
            if _ended(pidfd, caught, time.monotonic() + wait):
                break
            sent = int(sig)
            if given.flag("verbose"):
                term.complain("timeout", f"sending signal {signals.name(sent)} to {' '.join(words)}")
            signal.pidfd_send_signal(pidfd, sent)
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)  # a stopped command would not hear it
        else:
            _ended(pidfd, caught, float("inf"))
    status = os.waitpid(child, 0)[1]
    died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if sent and not given.flag("preserve-status"):
        if sent == signal.SIGKILL and died == signal.SIGKILL:
            die_by(signal.SIGKILL)
        return 124
    return leave(Ending(child, 0 if died else os.WEXITSTATUS(status), died))
