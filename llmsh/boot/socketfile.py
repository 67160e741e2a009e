"""The daemon's socket: bound under the runtime folder, or handed over by systemd.

The instance lock is held by whoever calls this: so a socket that nobody answers is stale, and only
its holder unlinks it. Source: unix(7), sd_listen_fds(3).
"""

import os
import socket
import stat
from collections.abc import MutableMapping

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.limits import SOCKET_PATH_MAX

LISTEN_FIRST = 3
_LISTEN_MAX = 64


def inherited(environment: MutableMapping[str, str]) -> list[int]:
    """Descriptors that the starter hands over (LISTEN_FDS); the variables are taken away."""
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return list(range(LISTEN_FIRST, LISTEN_FIRST + min(int(count), _LISTEN_MAX)))


def adopt(fd: int) -> socket.socket:
    """A listening socket from a descriptor. Raises Error when it is none of a kind that we serve."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError as exc:
        raise Error("EBADF", f"LISTEN_FDS: descriptor {fd}: {exc.strerror}") from None
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not listens:
        sock.detach()
        raise Error("EBADF", f"LISTEN_FDS: descriptor {fd} is not a listening UNIX stream socket")
    os.set_inheritable(fd, False)
    sock.setblocking(False)
    return sock


def check_folder(folder: str) -> None:
    """Make a folder 0700, then look whether it is ours alone. Raises Error EACCES."""
    try:
        os.makedirs(os.path.dirname(folder), 0o700, exist_ok=True)
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass  # checked like one of our own making
        found = os.lstat(folder)
    except OSError as exc:
        raise Error("EACCES", f"{folder}: {exc.strerror}") from None
    cause = ""
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        cause = "is not a folder, or a link to one"
    elif found.st_uid != os.getuid():
        cause = f"belongs to user {found.st_uid}"
    elif found.st_mode & 0o077:
        cause = f"has mode {stat.S_IMODE(found.st_mode):04o}; it must be 0700"
    if cause:
        raise Error("EACCES", f"{folder}: {cause}")


def _clear(path: str) -> None:
    """Unlink a stale socket. Raises Error EBUSY when somebody answers there, EEXIST when it is none."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Error("EEXIST", f"{path}: there is something that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError:
            pass  # a full backlog (EAGAIN) answers too, only later
    raise Error("EBUSY", f"{path}: another daemon serves there")


class SocketFile:
    """A bound socket and its file. Raises Error when the path is too long, taken or unsafe."""

    def __init__(self, path: str | None = None) -> None:
        self.path = path or paths.socket()
        length = len(os.fsencode(self.path))
        if length > SOCKET_PATH_MAX:
            raise Error("EINVAL", f"{self.path}: {length} bytes; a socket path has at most {SOCKET_PATH_MAX}")
        if not os.environ.get("LLMSH_SOCKET"):
            check_folder(os.path.dirname(self.path))
        _clear(self.path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self.sock.bind(self.path)
        except OSError as exc:
            self.sock.close()
            raise Error("EACCES", f"{self.path}: {exc.strerror}") from None
        finally:
            os.umask(mask)
        self.sock.setblocking(False)
        self._identity = self._look()

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @property
    def there(self) -> bool:
        """Whether the file is still the one that was bound."""
        return self._identity is not None and self._look() == self._identity

    def unlink(self) -> None:
        """Take the file away, if it is ours. To be called while the socket is open: until then its
        inode cannot become another file's."""
        if self.there:
            os.unlink(self.path)
        self._identity = None
