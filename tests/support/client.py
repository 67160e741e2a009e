"""`llmsh` as a process of the machine: started in a session of its own, watched by waitpid.

It knows no kernel; a test says what answers.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = [sys.executable, "-m", "llmsh.cli"]


def environment(**more: str) -> dict[str, str]:
    """The present environment, with this checkout to import from."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | more
    env.pop("COLUMNS", None)
    return env | {name: value for name, value in more.items() if name == "COLUMNS"}


def llmsh(*argv: str, stdin: str | bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    """Run to the end; output as text (bytes that are no UTF-8 as surrogates)."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    words = [*WORDS, *argv]
    done = subprocess.run(words, input=data, capture_output=True, env=environment(**env), timeout=120, check=False)
    out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def refused(*argv: str, **env: str) -> str:
    """Run a command line that is wrong: status 2, no output, and one line, which is given."""
    done = llmsh(*argv, **env)
    assert (done.returncode, done.stdout) == (2, ""), (argv, done)
    assert done.stderr.startswith(f"{argv[0]}: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def into_full(*argv: str) -> tuple[int, str]:
    """Run with standard output on a full disk: the status, and what is said of it."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*WORDS, *argv],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    return done.returncode, done.stderr.decode()


NO_SPACE = "write error: No space left on device\n"


class Child:
    """A client that runs. Its pid leads a session and a group, on a terminal if one is given."""

    def __init__(
        self, argv: Sequence[str], *, stdin: int, stdout: int, stderr: int, ignore: Sequence[int] = ()
    ) -> None:
        tty = os.isatty(stdin)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become([*WORDS, *argv], (stdin, stdout, stderr), tty, ignore)
            finally:
                os._exit(126)

    @staticmethod
    def _become(words: list[str], fds: tuple[int, int, int], tty: bool, ignore: Sequence[int]) -> None:
        os.setsid()
        if tty:
            os.close(os.open(os.ttyname(fds[0]), os.O_RDWR))  # the first terminal opened is the controlling one
        copies = [os.dup(fd) for fd in fds]
        for fd, copy in enumerate(copies):
            os.dup2(copy, fd)
        os.closerange(3, 1024)
        for number in ignore:
            signal.signal(number, signal.SIG_IGN)
        os.execve(words[0], words, environment())

    def kill(self, number: int) -> None:
        """Send a signal to the client alone."""
        os.kill(self.pid, number)

    def stopped(self) -> int:
        """Wait until it has stopped; the signal that stopped it."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"ended ({os.waitstatus_to_exitcode(status)}) instead of stopping"
        return os.WSTOPSIG(status)

    def ended(self) -> int:
        """Wait until it has ended; its status, negative the signal it died by."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)
