"""The system calls as functions: one stub a call, arguments and results named as in the table.

A test holds each signature to abi.syscalls. hello is conn.py's. It knows nothing of what a call is for.
"""

from llmsh.abi.light import Any, Mapping, Sequence
from llmsh.abi.limits import OOM_SAME
from llmsh.lib.conn import Connection

Row = dict[str, Any]
Scalars = Mapping[str, str | int | float | bool]


def null(conn: Connection) -> Row:
    """The call null."""
    return conn.call("null")[0]


def run(
    conn: Connection,
    agent: str,
    *,
    args: Sequence[str] = (),
    options: Scalars | None = None,
    params: Scalars | None = None,
    model: str = "",
    stdin: str = "null",
    stdout: str = "client",
    stderr: str = "client",
    cwd: str = "/",
    umask: int = 0o77,
    env: Mapping[str, str] | None = None,
    nice: int = 0,
    pgid: int = 0,
    detach: bool = False,
) -> tuple[int, int]:
    """The call run: (pid, pgid)."""
    reply, _ = conn.call(
        "run",
        agent=agent,
        args=list(args),
        options=dict(options or {}),
        params=dict(params or {}),
        model=model,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        umask=umask,
        env=dict(env or {}),
        nice=nice,
        pgid=pgid,
        detach=detach,
    )
    return int(reply["pid"]), int(reply["pgid"])


def fork(
    conn: Connection,
    pid: int,
    *,
    seed: int = -1,
    stdin: str = "null",
    stdout: str = "client",
    stderr: str = "client",
    pgid: int = 0,
    detach: bool = False,
) -> tuple[int, int]:
    """The call fork: (pid, pgid)."""
    reply, _ = conn.call(
        "fork", pid=pid, seed=seed, stdin=stdin, stdout=stdout, stderr=stderr, pgid=pgid, detach=detach
    )
    return int(reply["pid"]), int(reply["pgid"])


def pipe(conn: Connection, capacity: int = 0, shared: bool = False) -> int:
    """The call pipe: the pipe's id, for stdin=pipe:ID and stdout=pipe:ID."""
    return int(conn.call("pipe", capacity=capacity, shared=shared)[0]["id"])


def write(conn: Connection, pid: int, fd: int, eof: bool = False, body: bytes = b"") -> int:
    """The call write: bytes taken."""
    return int(conn.call("write", body, pid=pid, fd=fd, eof=eof)[0]["n"])


def ack(conn: Connection, pid: int, fd: int, n: int) -> None:
    """The call ack; no reply is asked for."""
    conn.post("ack", pid=pid, fd=fd, n=n)


def close(conn: Connection, pid: int, fd: int) -> None:
    """The call close; no reply is asked for."""
    conn.post("close", pid=pid, fd=fd)


def kill(conn: Connection, pid: int, sig: int) -> int:
    """The call kill: how many processes got it."""
    return int(conn.call("kill", pid=pid, sig=sig)[0].get("sent", 0))


def wait(conn: Connection, pid: int, nohang: bool = False, timeout_ms: int = -1) -> Row:
    """The call wait."""
    return conn.call("wait", pid=pid, nohang=nohang, timeout_ms=timeout_ms)[0]


def ps(conn: Connection, pids: Sequence[int] = (), after: int = 0) -> list[Row]:
    """The call ps, every page: a record a process, its fields in abi.records.PS."""
    rows: list[Row] = []
    more = True
    while more:
        last = rows[-1]["pid"] if rows else after
        # The first page is asked for as a daemon of minor version 0 understands it.
        beyond: dict[str, Any] = {"after": last} if last else {}
        page, _ = conn.call("ps", pids=list(pids), **beyond)
        rows += page["rows"]
        more = page.get("more", False)
    return rows


def renice(conn: Connection, pid: int, nice: int, relative: bool = False) -> int:
    """The call renice: the value it has now."""
    return int(conn.call("renice", pid=pid, nice=nice, relative=relative)[0]["nice"])


def limit(conn: Connection, pid: int, oom: int = OOM_SAME, group: int = -1, session: int = -1) -> Row:
    """The call limit: what holds now."""
    return conn.call("limit", pid=pid, oom=oom, group=group, session=session)[0]


def setpgid(conn: Connection, pid: int, pgid: int) -> int:
    """The call setpgid."""
    return int(conn.call("setpgid", pid=pid, pgid=pgid)[0]["pgid"])


def foreground(conn: Connection, pgid: int, on: bool = True) -> None:
    """The call foreground."""
    conn.call("foreground", pgid=pgid, on=on)


def logs(conn: Connection, pid: int, offset: int = 0, follow: bool = False) -> tuple[bytes, int, bool]:
    """The call logs: the bytes, the offset after them, whether this is all there will be."""
    reply, body = conn.call("logs", pid=pid, offset=offset, follow=follow)
    return body, int(reply["offset"]), bool(reply["eof"])


def dmesg(conn: Connection, after: int = 0, follow: bool = False) -> list[Row]:
    """The call dmesg: every page there is; with `follow` one, which is not empty."""
    rows: list[Row] = []
    while True:
        page = list(conn.call("dmesg", after=rows[-1]["n"] if rows else after, follow=follow)[0]["rows"])
        rows += page
        if follow or not page:
            return rows


def uptime(conn: Connection) -> Row:
    """The call uptime."""
    return conn.call("uptime")[0]


def free(conn: Connection) -> list[Row]:
    """The call free: a record a device."""
    return list(conn.call("free")[0]["rows"])


def lsdev(conn: Connection, *, long: bool = False) -> list[Row]:
    """The call lsdev: a record a device, its fields in abi.records.LSDEV; with `long` its rates as RATES has them."""
    return list(conn.call("lsdev", long=long)[0]["rows"])


def vmstat(conn: Connection) -> Row:
    """The call vmstat: its fields in abi.records.VMSTAT."""
    return conn.call("vmstat")[0]


def load(conn: Connection, model: str = "") -> str:
    """The call load: the model's name, once it is ready."""
    return str(conn.call("load", model=model)[0]["name"])


def unload(conn: Connection, model: str) -> None:
    """The call unload."""
    conn.call("unload", model=model)


def sched(conn: Connection, policy: str = "") -> Row:
    """The call sched."""
    return conn.call("sched", policy=policy)[0]


def purge(conn: Connection) -> Row:
    """The call purge."""
    return conn.call("purge")[0]


def check(conn: Connection) -> Row:
    """The call check."""
    return conn.call("check")[0]


def shutdown(conn: Connection, grace_ms: int = 2000) -> None:
    """The call shutdown."""
    conn.call("shutdown", grace_ms=grace_ms)
