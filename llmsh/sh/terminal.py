"""The controlling terminal: whose turn it is, and its modes. It knows no jobs.

Source: "Implementing a Job Control Shell" in the GNU C library manual; tcsetpgrp(3), termios(3).
"""

import os
import signal
import termios
from contextlib import suppress

from llmsh.sh.redirect import private

Modes = list[int | list[bytes | int]]
_TRIES = 16
"""Stops by TTIN that do not bring us to the foreground; without a parent that cares they do nothing."""
_JOB_SIGNALS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Terminal:
    """A terminal that the shell has taken."""

    def __init__(self, fd: int) -> None:
        self.fd = private(os.dup(fd))
        self.group = 0
        self._original = 0
        self._modes: Modes | None = None

    def take(self) -> bool:
        """Wait to be the foreground, then lead a group of our own there. False where we cannot: it is
        no terminal of ours, or nobody will ever put us in its foreground."""
        try:
            for _ in range(_TRIES):
                if os.tcgetpgrp(self.fd) == os.getpgrp():
                    break
                os.killpg(0, signal.SIGTTIN)
            else:
                return False
        except OSError:
            return False
        for number in _JOB_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._original = os.getpgrp()
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)
        self.group = os.getpgrp()
        self.give(self.group)
        self._modes = self.modes()
        return True

    def leave(self) -> None:
        """On exit: the modes as they were, the terminal back to whom it belonged."""
        self.restore()
        if self._original != self.group:
            self.give(self._original)

    def give(self, group: int) -> None:
        """Make a group the foreground. The caller ignores or blocks TTOU."""
        with suppress(OSError):  # the group has ended, or the terminal has gone: there is nobody to give it to
            os.tcsetpgrp(self.fd, group)

    def modes(self) -> Modes | None:
        """The modes now."""
        try:
            return termios.tcgetattr(self.fd)
        except termios.error:
            return None

    def set(self, modes: Modes | None) -> None:
        """Set modes that `modes` gave."""
        if modes is None:
            return
        with suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(self.fd, termios.TCSADRAIN, modes)

    def adopt(self) -> None:
        """A job that ended well may have meant to change the modes (stty): keep them."""
        self._modes = self.modes()

    def restore(self) -> None:
        """The shell's modes, after a job that died or stopped."""
        self.set(self._modes)
