"""Leaves the terminal, the session and the starter's environment behind. Source: daemon(7).

`fork` makes a process that nobody waits for; `detach` and `settle` put what it inherited in order.
"""

import os
import signal
from collections.abc import Iterable, MutableMapping

KEPT = ("HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
KEPT_BEGINNINGS = ("LC_", "LLMSH_", "XDG_", "PYTHON", "GGML_", "CUDA_", "OMP_", "COVERAGE")
"""The part of the starter's environment that a daemon keeps: it outlives the starter's session."""
_FD_MAX = 1 << 20
_SAID_MAX = 4096


def fork() -> int:
    """Go on in a grandchild in a session of its own, with the descriptor to say `ready` on. The
    starter stays in here until then, and exits."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        os._exit(_await(reader))
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    return writer


def _await(reader: int) -> int:
    """The starter's exit status: 0 when the daemon serves; its cause goes to standard error."""
    said = b""
    while len(said) < _SAID_MAX and (data := os.read(reader, _SAID_MAX)):
        said += data
    if said == b"\n":
        return 0
    os.write(2, said or b"llmshd: it did not start; its log says why\n")
    return 1


def settle(keep: Iterable[int]) -> None:
    """umask, folder, signals, and no descriptor above 2 but those in `keep`."""
    os.umask(0o077)
    os.chdir("/")
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
    # A session's end (a terminal that closes) is nothing to a daemon; Python ignores PIPE.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    first = 3
    for fd in sorted(keep):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, _FD_MAX)


def detach(environment: MutableMapping[str, str]) -> None:
    """Standard input and output to nowhere, and only the part of the environment that is ours."""
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    if "PYTHONPATH" in environment:  # the working folder is going to be another
        parts = environment["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, parts))
    for name in list(environment):
        if name not in KEPT and not name.startswith(KEPT_BEGINNINGS):
            del environment[name]
