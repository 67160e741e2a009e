"""Starts the daemon when a command needs it, as tmux does; one starter at a time.

Starters queue on a lock of their own. The daemon holds the instance lock for its life and alone
unlinks a stale socket; it says that it is ready by a byte on a pipe, or what is wrong by a line.
This file knows no kernel: it runs `python -m llmsh.boot` by name.
"""

import fcntl
import os
import sys
import time

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.lib import runtime
from llmsh.lib.conn import Connection, dial

DEAF_SECONDS = 20.0
"""How long a daemon that holds the lock may take to begin or to end before we give up on it."""


def _open(path: str) -> int:
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise Error("EACCES", f"{path}: {exc.strerror}") from None


def locked() -> bool:
    """Whether a daemon holds the instance lock (it may be starting, serving or ending)."""
    fd = _open(paths.lock())
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder() -> int:
    """OS pid of the daemon that holds the instance lock, as it wrote it there; 0 for none."""
    if not locked():
        return 0
    try:
        with open(paths.lock(), encoding="ascii") as file:
            return int(file.read(32).split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def log_file() -> str:
    """Where the daemon's standard error goes."""
    return os.path.join(paths.state(), "llmshd.log")


def _daemon(ready: int) -> None:
    """In the grandchild: become the daemon. It puts signals, folder, umask and environment in order
    itself; what goes wrong before that must be in its log, not on the caller's terminal."""
    null = os.open("/dev/null", os.O_RDWR)
    log = os.open(log_file(), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    for fd, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, fd)
    os.dup2(ready, 3)
    os.set_inheritable(3, True)
    os.closerange(4, min(os.sysconf("SC_OPEN_MAX"), 1 << 20))
    words = [sys.executable, "-P", "-m", "llmsh.boot"]
    os.execve(sys.executable, words, os.environ | {"LLMSH_READY_FD": "3"})


def _fork(ready: int) -> None:
    """Start the daemon as a child of init, in a session of its own."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _daemon(ready)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a forked copy must never return into the caller's code
            os._exit(127)
    os.waitpid(child, 0)


def _start() -> None:
    """Start a daemon and wait until it serves. Raises Error EHOSTDOWN with what it said."""
    reader, writer = os.pipe()
    try:
        _fork(writer)
        os.close(writer)
        said = b""
        while len(said) < 1:
            data = os.read(reader, 1024)
            if not data:
                raise Error("EHOSTDOWN", f"the daemon did not start; see {log_file()}")
            said += data
        if len(said) > 1:
            cause = said.decode("utf-8", "replace").strip().removeprefix("llmshd: ")
            raise Error("EHOSTDOWN", f"the daemon did not start: {cause}")
    finally:
        os.close(reader)


def _try() -> Connection | None:
    try:
        return dial()
    except Error as exc:
        if exc.code != "EHOSTDOWN":
            raise
        return None


def _settle() -> Connection | None:
    """Under the starters' lock: a connection, or None once nobody holds the instance lock."""
    until = time.monotonic() + DEAF_SECONDS
    while True:
        conn = _try()
        if conn is not None:
            return conn
        if not locked():
            return None
        if time.monotonic() > until:
            pid = holder()
            who = f"the daemon (pid {pid})" if pid else "the daemon"
            raise Error("EHOSTDOWN", f"{who} does not answer; run `llmsh daemon restart`")
        time.sleep(0.02)


def connect() -> Connection:
    """A connection to the daemon, which is started if there is none. Raises Error."""
    conn = _try()
    if conn is not None:
        return conn
    runtime.ready(create=True)
    lock = _open(os.path.join(paths.state(), "llmshd.start"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        conn = _settle()
        if conn is not None:
            return conn
        _start()
        return dial()
    finally:
        os.close(lock)


def remembering() -> Connection | None:
    """A connection to ask about what has been: a daemon that left a journal is started again to read it;
    None when there never was one. Raises Error."""
    conn = _try()
    left = conn is None and os.path.exists(paths.journal())
    return connect() if left else conn


def running() -> Connection | None:
    """A connection to the daemon if one runs; None when the machine is empty. Raises Error."""
    return _try()
