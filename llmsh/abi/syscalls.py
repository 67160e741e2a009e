"""The system call table: names, arguments, results, errors. man2, stubs and fuzzers are made from it.

A call `x` is `sys_x` in the kernel, `x` in lib.calls, and x(2) in man/. It knows what an argument
may be and nothing of what a call does.
"""

from typing import NamedTuple

from llmsh.abi.limits import ARGS_MAX, OOM_MAX, OOM_SAME, PIPE_MAX, PIPE_MIN
from llmsh.abi.records import VMSTAT

NONE: object = None


class Arg(NamedTuple):
    """One argument: `kind` is int, str, bool, num, strs (list of str), ints, map (str to scalar).

    `low` and `high` bound an int or a num, or the length of a str, a list or a map.
    """

    name: str
    kind: str
    doc: str
    required: bool = False
    default: object = None
    low: int = 0
    high: int = 1 << 53


class Call(NamedTuple):
    """One system call; `result` names the fields of its reply, `errors` those it adds to EINVAL."""

    name: str
    doc: str
    args: tuple[Arg, ...] = ()
    result: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    body: bool = False


_PID = Arg("pid", "int", "the process", required=True, low=1)
_TARGET = Arg("pid", "int", "a process, or a group when negative", required=True, low=-(1 << 53))
_FD = Arg("fd", "int", "the descriptor: 0, 1 or 2", required=True, high=2)

CALLS: tuple[Call, ...] = (
    Call(
        "hello",
        "open the conversation: the first frame of every connection",
        (
            Arg("major", "int", "version of the interface", required=True),
            Arg("minor", "int", "", default=0),
            Arg("build", "str", "release of the client", default="", high=64),
        ),
        ("major", "minor", "build", "pid", "uptime_ms"),
        ("EVERSION",),
    ),
    Call("null", "do nothing: the cost of a call", (), ()),
    Call(
        "run",
        "start an agent as a process",
        (
            Arg("agent", "str", "name of a unit", required=True, low=1, high=128),
            Arg("args", "strs", "text arguments", default=(), high=ARGS_MAX),
            Arg("options", "map", "the unit's own options", default={}, high=64),
            Arg("params", "map", "sampling and limits, see llmsh-unit(5)", default={}, high=64),
            Arg("model", "str", "model, in place of the unit's", default="", high=4096),
            Arg("stdin", "str", "client, null or pipe:N", default="null", high=32),
            Arg("stdout", "str", "client, log, null or pipe:N", default="client", high=32),
            Arg("stderr", "str", "client, log or null", default="client", high=32),
            Arg("cwd", "str", "working folder of the caller", default="/", high=4096),
            Arg("umask", "int", "file mode mask of the caller", default=0o77, high=0o777),
            Arg("env", "map", "the listed part of the environment", default={}, high=64),
            Arg("nice", "int", "nice value", default=0, low=-20, high=19),
            Arg("pgid", "int", "group to join; 0 makes a new one", default=0),
            Arg("detach", "bool", "outlive the connection", default=False),
        ),
        ("pid", "pgid"),
        ("ENOENT", "ENOEXEC", "ENODEV", "EAGAIN", "EBADF", "EPERM", "E2BIG", "ENOMEM", "ENOSPC", "EBUSY"),
    ),
    Call(
        "fork",
        "make a process that goes on from where another is, on the same cells; answers once it is journaled",
        (
            _PID,
            Arg("seed", "int", "the child's seed; -1: its parent's", default=-1, low=-1),
            Arg("stdin", "str", "client, null or pipe:N", default="null", high=32),
            Arg("stdout", "str", "client, log, null or pipe:N", default="client", high=32),
            Arg("stderr", "str", "client, log or null", default="client", high=32),
            Arg("pgid", "int", "group to join; 0 makes a new one", default=0),
            Arg("detach", "bool", "outlive the connection", default=False),
        ),
        ("pid", "pgid"),
        ("ESRCH", "EAGAIN", "EBADF", "EINVAL", "EPERM", "ENOSPC"),
    ),
    Call(
        "pipe",
        "make a bounded pipe for two later runs of this connection",
        (
            Arg("capacity", "int", "bytes", default=0, low=0, high=PIPE_MAX),
            Arg("shared", "bool", "a work queue: several may read it, each of them whole lines", default=False),
        ),
        ("id", "capacity"),
        ("EAGAIN",),
    ),
    Call(
        "write",
        "give bytes to a process's input, as many as its `want` event asked for",
        (_PID, _FD, Arg("eof", "bool", "no more follow", default=False)),
        ("n",),
        ("ESRCH", "EBADF", "EAGAIN", "EPIPE", "EPERM"),
        body=True,
    ),
    Call(
        "ack",
        "say that bytes of an `out` event have been written on",
        (_PID, _FD, Arg("n", "int", "bytes", required=True)),
        (),
        ("ESRCH", "EBADF", "EPERM"),
    ),
    Call(
        "close",
        "close a descriptor that this connection holds: the process gets PIPE or end of file",
        (_PID, _FD),
        (),
        ("ESRCH", "EBADF", "EPERM"),
    ),
    Call(
        "kill",
        "send a signal; answers when it has taken effect (STOP: once the process is quiet)",
        (
            _TARGET._replace(doc="a process, a group when negative, every process when -1"),
            Arg("sig", "int", "signal number, 0 to ask only", required=True, high=64),
        ),
        ("sent",),
        ("ESRCH", "EPERM"),
    ),
    Call(
        "wait",
        "wait for a process, also one that ended a while ago; reaps a zombie of this caller",
        (
            Arg("pid", "int", "the process, or -1 for any child of this connection", required=True, low=-1),
            Arg("nohang", "bool", "answer at once", default=False),
            Arg("timeout_ms", "int", "at most this long; -1 for ever", default=-1, low=-1),
        ),
        ("pid", "status", "signal", "reason"),
        ("ECHILD", "EAGAIN", "ETIMEDOUT"),
    ),
    Call(
        "ps",
        "all processes, a record each (see records.PS)",
        (
            Arg("pids", "ints", "only these", default=(), low=0, high=4096),
            Arg("after", "int", "only pids above this one: the next page", default=0),
        ),
        ("rows", "more"),
    ),
    Call(
        "renice",
        "set or change a nice value",
        (
            _TARGET,
            Arg("nice", "int", "the value", required=True, low=-40, high=40),
            Arg("relative", "bool", "add to what it is", default=False),
        ),
        ("nice",),
        ("ESRCH", "EPERM"),
    ),
    Call(
        "limit",
        "ask or set oom_score_adj of a process, and the most cells that its group and its session may have together",
        (
            _PID,
            Arg("oom", "int", "-1000 to 1000; 1001: as it is", default=OOM_SAME, low=-OOM_MAX, high=OOM_SAME),
            Arg("group", "int", "cells of the group, 0 for no limit; -1: as it is", default=-1, low=-1),
            Arg("session", "int", "cells of the session, likewise", default=-1, low=-1),
        ),
        ("oom", "group", "group_used", "session", "session_used"),
        ("ESRCH",),
    ),
    Call(
        "setpgid",
        "move a process to a group",
        (_PID, Arg("pgid", "int", "0: its own", required=True)),
        ("pgid",),
        ("ESRCH", "EPERM"),
    ),
    Call(
        "foreground",
        "make a group the foreground of its terminal, or put it in the background",
        (Arg("pgid", "int", "the group", required=True, low=1), Arg("on", "bool", "", default=True)),
        (),
        ("ESRCH", "EPERM", "ENOTTY"),
    ),
    Call(
        "logs",
        "bytes of a detached process's log; with follow, waits for more",
        (
            _PID,
            Arg("offset", "int", "from this byte; negative counts from the end", default=0, low=-(1 << 53)),
            Arg("follow", "bool", "wait while the process lives", default=False),
        ),
        ("offset", "eof"),
        ("ESRCH", "ENOENT"),
    ),
    Call(
        "dmesg",
        "the kernel's messages",
        (
            Arg("after", "int", "those with a greater number", default=0),
            Arg("follow", "bool", "wait for one", default=False),
        ),
        ("rows",),
    ),
    Call("uptime", "time up, load, users", (), ("up_ms", "started", "runnable", "processes", "sessions", "load")),
    Call("free", "cells and bytes of every device", (), ("rows",)),
    Call(
        "lsdev",
        "devices, a record each (see records.LSDEV)",
        (
            Arg(
                "long",
                "bool",
                "with their tables of rates (records.RATES) and the layout of their cores (records.CORES)",
                default=False,
            ),
        ),
        ("rows",),
    ),
    Call("vmstat", "what the machine does (see records.VMSTAT)", (), tuple(VMSTAT)),
    Call(
        "load",
        "load a model and say when it is ready",
        (Arg("model", "str", "name or path", default="", high=4096),),
        ("name",),
        ("ENODEV", "ENOEXEC", "ENOMEM"),
    ),
    Call(
        "unload",
        "give up a model that no process uses",
        (Arg("model", "str", "name", required=True, high=4096),),
        (),
        ("ENODEV", "EBUSY"),
    ),
    Call(
        "sched",
        "the policy; with a name, choose it",
        (Arg("policy", "str", "", default="", high=32),),
        ("policy", "policies"),
        (),
    ),
    Call(
        "purge",
        "forget the processes that have ended: their statuses, their records, their logs",
        (),
        ("processes", "bytes"),
        ("ENOSPC",),
    ),
    Call(
        "check",
        "compare the kernel's books; for tests and the curious",
        (),
        ("faults", "processes", "pipes", "cells", "descriptors", "dropped"),
    ),
    Call(
        "shutdown",
        "stop the daemon: TERM to all, KILL after the grace",
        (Arg("grace_ms", "int", "", default=2000, high=600_000),),
        (),
    ),
)
"""Every system call, in the order of the manual."""

TABLE: dict[str, Call] = {call.name: call for call in CALLS}

EVENTS: dict[str, tuple[str, ...]] = {
    "out": ("pid", "fd"),
    "want": ("pid", "fd", "n"),
    "stat": ("pid", "stat"),
    "exit": ("pid", "status", "signal", "reason"),
    "bye": ("reason",),
}
"""What the kernel sends unasked: {"ev": name, ...}; `out` carries the bytes as its body."""

assert PIPE_MIN <= PIPE_MAX
