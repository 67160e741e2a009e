"""What the engine gives up before it touches a model: privileges, the network, core dumps, files.

Each is done where the kernel of this machine allows it; `enter` says what was not possible. After
it the process can open no socket, start no program, gain nothing by a setuid file, and (with
Landlock, Linux 5.13) read only the model, its own program and the system's libraries, and write
nothing, or only in the one folder it is given. Sources: prctl(2), seccomp(2), landlock(7). It knows nothing of models.
"""

import ctypes
import os
import platform
import resource
import struct
import sys

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 38, 22
_SECCOMP_MODE_FILTER = 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM = 1

# Architecture: AUDIT_ARCH value and the numbers of socket, execve, execveat, ptrace, io_uring_setup.
_MACHINES = {
    "x86_64": (0xC000003E, (41, 59, 322, 101, 425)),
    "aarch64": (0xC00000B7, (198, 221, 281, 117, 425)),
}
_ARCH_PRCTL, _REQUEST_TILES = 158, 0x1023
"""arch_prctl(ARCH_REQ_XCOMP_PERM), x86-64: how a program asks for AMX."""
_LOAD, _EQUAL, _END = 0x20, 0x15, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data; the first argument's low half."""
_READ = 1 << 2 | 1 << 3
"""LANDLOCK_ACCESS_FS_READ_FILE, READ_DIR."""
_WRITE = _READ | 1 << 1 | 1 << 5 | 1 << 8
"""The same, WRITE_FILE, REMOVE_FILE, MAKE_REG."""
_ALL = (1 << 13) - 1
"""Every right of Landlock's first version."""
_CREATE, _ADD, _RESTRICT = 444, 445, 446


def lower() -> None:
    """Be the first to wait and the first to go: nice 5, oom_score_adj +300."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, max(5, os.getpriority(os.PRIO_PROCESS, 0)))
        with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
            if int(file.read()) < 300:
                file.write("300")
    except (OSError, ValueError):
        pass  # a container may refuse either; both are courtesies


def enter(model: str, folder: str = "") -> list[str]:
    """Give up what an engine has no use for; what this machine does not let us give up. `folder`: where
    files may be made, empty for nowhere."""
    missing: list[str] = []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        missing.append("no_new_privs")
    if not _files(model, folder):
        missing.append("file limits (Landlock)")
    if not (no_tiles() and _calls()):
        missing.append("network limits (seccomp)")
    return missing


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One instruction of a filter: `yes` and `no` are how many to skip."""
    return struct.pack("HBBI", code, yes, no, value)


def _calls() -> bool:
    """No new socket, no program, no tracing: EPERM for those, all else goes on."""
    numbers = _MACHINES.get(platform.machine(), (0, ()))[1]
    checks = [_op(_EQUAL, number, yes=len(numbers) - i) for i, number in enumerate(numbers)]
    return bool(numbers) and _filter([*checks, _op(_END, _ALLOW), _op(_END, _ERRNO | _EPERM)])


def no_tiles() -> bool:
    """Keep llama.cpp from AMX: it asks for it when it loads a model, and does without when refused.

    Compiled by GCC 12 its AMX code ends the process: the intrinsic that loads the tile
    configuration claims to read 8 bytes of it, and the compiler leaves out the stores to the rest.
    """
    if platform.machine() != "x86_64":
        return True
    return _filter(
        [
            _op(_EQUAL, _ARCH_PRCTL, no=3),
            _op(_LOAD, _ARGUMENT),
            _op(_EQUAL, _REQUEST_TILES, no=1),
            _op(_END, _ERRNO | _EPERM),
            _op(_END, _ALLOW),
        ]
    )


def _filter(checks: list[bytes]) -> bool:
    """Install a seccomp filter; `checks` begin with the call's number loaded."""
    arch = _MACHINES.get(platform.machine(), (0, ()))[0]
    if not arch or sys.byteorder != "little" or _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    code = [_op(_LOAD, _ARCH), _op(_EQUAL, arch, yes=1), _op(_END, _ALLOW), _op(_LOAD, _NUMBER), *checks]
    program = ctypes.create_string_buffer(b"".join(code))
    header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(program))
    return not _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def _files(model: str, folder: str) -> bool:
    """Landlock: read what the interpreter and llama.cpp need and the model; write in the folder only."""
    attr = struct.pack("Q", _ALL)
    ruleset = _libc.syscall(_CREATE, attr, len(attr), 0)
    if ruleset < 0:
        return False
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    folders = {*sys.path, sys.prefix, sys.base_prefix, here, "/usr", "/lib", "/lib64", "/etc", "/proc", "/sys"}
    for path in (*folders, model, "/dev/null", "/dev/urandom"):
        _allow(ruleset, path)
    if folder:
        _allow(ruleset, folder, _WRITE)
    done = not _libc.syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return done


def _allow(ruleset: int, path: str, inside: int = _READ) -> None:
    """Allow reading a file, or `inside` below a folder."""
    try:
        fd = os.open(path or ".", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = inside if os.path.isdir(path or ".") else 1 << 2
    _libc.syscall(_ADD, ruleset, 1, struct.pack("=Qi", rights, fd), 0)
    os.close(fd)
