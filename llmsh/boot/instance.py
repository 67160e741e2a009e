"""One daemon for a user and state folder: a lock on a file there, held for life. Source: flock(2)."""

import fcntl
import os
import time

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.boot.socketfile import check_folder

PATIENCE_S = 1.0
"""Commands try the lock for a moment to see whether a daemon holds it; that must not send us away."""
_PAUSE_S = 0.02


class Instance:
    """The lock, held. Raises Error EBUSY when another daemon has it."""

    def __init__(self) -> None:
        check_folder(paths.state())
        self._path = paths.lock()
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as exc:
            raise Error("EACCES", f"{self._path}: {exc.strerror}") from None
        self._take()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def _take(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(_PAUSE_S)
                    continue
                pid = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
                os.close(self._fd)
                raise Error("EBUSY", f"runs already{f', as pid {pid}' if pid.isdecimal() else ''}") from None
            return

    @property
    def held(self) -> bool:
        """Whether the file that others would lock is still ours (somebody may remove the state folder)."""
        try:
            found, ours = os.stat(self._path), os.fstat(self._fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)

    def release(self) -> None:
        """Let go; the file stays, since unlinking it would let two hold two files of one name."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)
