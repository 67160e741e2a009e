"""The daemon's log file: lines with a time, under a cap, from any thread. Standard error leads there as well.

At half of the cap the file becomes NAME.1 and the next begins.
"""

import os
import sys
import threading
import time

LINE_MAX = 4000


class Log:
    """A file that only the user may read. `echo` also writes each line to the terminal's standard error."""

    def __init__(self, path: str, cap: int, echo: bool = False) -> None:
        self.path = path
        self._half = max(4096, cap // 2)
        self._echo = echo
        self._lock = threading.Lock()
        self._fd = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self.path, flags, 0o600)

    def take_stderr(self) -> None:
        """Let what libraries write to standard error come here, after each rotation too."""
        os.dup2(self._fd, 2)

    def line(self, text: str) -> None:
        """Add one line. A disk that is full loses it: a log must not stop what it tells of."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        data = f"{stamp} {text[:LINE_MAX]}\n".encode("utf-8", "backslashreplace")
        with self._lock:
            try:
                os.write(self._fd, data)
                if os.fstat(self._fd).st_size >= self._half:
                    self._rotate()
            except OSError:
                return
        if self._echo:
            self._say(text)

    def _say(self, text: str) -> None:
        try:
            sys.stderr.write(f"llmshd: {text}\n")
            sys.stderr.flush()
        except OSError:  # whoever read it has gone: that is no reason not to go on, or not to stop
            self._echo = False

    def _rotate(self) -> None:
        os.rename(self.path, self.path + ".1")
        fresh = self._open()
        same = not self._echo and os.path.sameopenfile(2, self._fd)
        os.close(self._fd)
        self._fd = fresh
        if same:
            self.take_stderr()
