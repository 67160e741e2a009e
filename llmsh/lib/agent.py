"""What to run: an agent with its arguments, and how it is started over a connection.

It knows the run and pipe calls; what a command line means is start.py's.
"""

import os

from llmsh.abi.errors import Error
from llmsh.abi.light import Any, Mapping, NamedTuple, Sequence
from llmsh.abi.limits import ENV_KEPT
from llmsh.lib import calls
from llmsh.lib.conn import Connection

Scalar = str | int | float | bool


class AgentSpec(NamedTuple):
    """One agent to run. `reads`: it reads its standard input (it has no text argument, or was given `-`)."""

    agent: str
    args: tuple[str, ...] = ()
    options: Mapping[str, Scalar] = {}  # noqa: RUF012 - a named tuple, which ruff does not see; nobody may change it
    params: Mapping[str, Scalar] = {}  # noqa: RUF012 - likewise
    model: str = ""
    nice: int = 0
    reads: bool = True
    capacity: int = 0
    """Bytes of the pipe it writes to, 0 for the usual."""


def text(value: str) -> str:
    """An argument as the kernel takes it: bytes that are no UTF-8 become U+FFFD."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _cwd() -> str:
    try:
        return text(os.getcwd())
    except OSError:
        return "/"


def request(spec: AgentSpec) -> dict[str, Any]:
    """The arguments of run(2) that an agent and its caller amount to; descriptors and group are not among them."""
    return {
        "agent": text(spec.agent),
        "args": [text(arg) for arg in spec.args],
        "options": dict(spec.options),
        "params": dict(spec.params),
        "model": text(spec.model),
        "nice": spec.nice,
        "cwd": _cwd(),
        "umask": _umask(),
        "env": {name: text(os.environ[name]) for name in ENV_KEPT if name in os.environ},
    }


def start(
    conn: Connection,
    specs: Sequence[AgentSpec],
    *,
    stdout: str = "client",
    stderr: str = "client",
    detach: bool = False,
    pgid: int = 0,
) -> list[int]:
    """Start agents joined by kernel pipes in one group; their pids, in order.

    The first reads the client, the last writes `stdout`. `detach` sends all output to logs. Raises
    Error; what had started is ended.
    """
    pids: list[int] = []
    deaf: list[int] = []
    stdin = "client" if specs[0].reads else "null"
    for at, spec in enumerate(specs):
        last = at == len(specs) - 1
        joined = not last and specs[at + 1].reads
        pipe = f"pipe:{calls.pipe(conn, spec.capacity)}" if joined else ""
        try:
            pid, pgid = calls.run(
                conn,
                stdin=stdin,
                stdout=stdout if last else pipe or "client",
                stderr="log" if detach else stderr,
                pgid=pgid,
                detach=detach,
                **request(spec),
            )
        except Error:
            if pids:
                conn.post("kill", pid=-pgid, sig=1)
            raise
        pids.append(pid)
        if not last and not joined:
            deaf.append(pid)
        stdin = pipe or "null"
    # Whoever writes to an agent that does not read writes to a closed pipe, as in any pipeline.
    for pid in deaf:
        calls.close(conn, pid, 1)
    return pids
