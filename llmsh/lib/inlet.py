"""A descriptor of ours that agents' input comes in through: read when an agent wants it, and only then.

It knows terminals as far as a read from the background must not happen, and no connection.
"""

import os

from llmsh.abi.limits import BODY_CHUNK


class Inlet:
    """Input for agents from descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.pid = 0
        """Who wants bytes, 0 for nobody."""
        self._most = 0

    def want(self, pid: int, n: int) -> None:
        """A process wants at most n bytes."""
        self.pid, self._most = pid, min(max(n, 1), BODY_CHUNK)

    def forget(self, pid: int) -> None:
        """That process wants nothing any more."""
        if self.pid == pid:
            self.pid = 0

    def background(self) -> bool:
        """Whether to read would be a background read of our terminal."""
        try:
            return os.tcgetpgrp(self.fd) != os.getpgrp()
        except OSError:  # no terminal, or not ours
            return False

    def read(self) -> bytes:
        """What was wanted; empty at the end. Raises OSError, BlockingIOError too: somebody else made
        the descriptor non-blocking."""
        return os.read(self.fd, self._most)
