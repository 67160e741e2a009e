"""A shell's part in job control, and no more: a session on a terminal, one job in it, its stops and end.

The job's group has a parent in its session, as every job of a shell has, so that stops are real.
"""

import os
import signal
from collections.abc import Sequence
from typing import IO, Self

from tests.support.client import WORDS, environment


class Job:
    """`llmsh argv` as a job on a terminal of its own; `end` is our side of that."""

    def __init__(self, argv: Sequence[str], *, background: bool = False) -> None:
        self.end, fd = os.openpty()
        reader, writer = os.pipe()
        orders, self._order = os.pipe()
        self._leader = os.fork()
        if self._leader == 0:
            try:
                os.close(self.end)
                os.close(self._order)
                self._lead([*WORDS, *argv], fd, (orders, writer), background)
            finally:
                os._exit(126)
        os.close(fd)
        os.close(writer)
        os.close(orders)
        self._said: IO[str] = os.fdopen(reader)
        self.pid = int(self._said.readline())

    @staticmethod
    def _lead(words: list[str], fd: int, pipes: tuple[int, int], background: bool) -> None:
        orders, writer = pipes
        os.setsid()
        os.close(os.open(os.ttyname(fd), os.O_RDWR))  # the first terminal opened is the controlling one
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            if not background:
                os.tcsetpgrp(fd, os.getpgrp())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            for number in range(3):
                os.dup2(fd, number)
            os.closerange(3, 1024)
            os.execve(words[0], words, environment())
        os.write(writer, f"{pid}\n".encode())
        while True:
            status = os.waitpid(pid, os.WUNTRACED)[1]
            if os.WIFSTOPPED(status):
                os.tcsetpgrp(fd, os.getpgrp())
                os.write(writer, f"stopped {os.WSTOPSIG(status)}\n".encode())
                if os.read(orders, 1):
                    os.tcsetpgrp(fd, pid)
                    os.killpg(pid, signal.SIGCONT)
            else:
                os.write(writer, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())
                os._exit(0)

    def next(self) -> str:
        """What the shell sees next: `stopped SIGNAL` or `ended STATUS`, negative for a signal."""
        return self._said.readline().strip()

    def foreground(self) -> None:
        """What fg does: the terminal is the job's, and it goes on."""
        os.write(self._order, b"f")

    def type(self, text: bytes) -> None:
        """Type on the terminal; byte 26 is Ctrl-Z, 3 is Ctrl-C."""
        os.write(self.end, text)

    def read(self, wanted: bytes) -> bytes:
        """What is on the screen, up to this."""
        seen = b""
        while wanted not in seen:
            seen += os.read(self.end, 4096)
        return seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._said.close()
        os.close(self._order)
        os.close(self.end)
        os.waitpid(self._leader, 0)
