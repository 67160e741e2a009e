"""Who is in the foreground: the terminal's foreground group has somebody waiting before it.

The machine's kernel knows (tpgid in /proc/PID/stat); this asks it now and then, and at each line
typed. A boost is 64 tokens (a setting) before everybody; then weight times 8.
"""

from collections.abc import Collection, Iterable

from llmsh.abi.errors import Error
from llmsh.kernel.caller import Caller
from llmsh.kernel.proc import Process


def take(processes: Iterable[Process], group: Collection[Process], caller: Caller) -> None:
    """The caller stands before its terminal for this group, and for no other of its session, whoever stood for one:
    a session has one terminal at most. Raises Error ENOTTY when it has none, EPERM when the group is of another."""
    sid = caller.conn.peer.sid
    own(group, caller)
    if not caller.conn.peer.tty:
        raise Error("ENOTTY", "this session has no terminal to be in the foreground of")
    mine = [process for process in processes if process.sid == sid]
    chosen = set(group)
    for process in mine:
        process.front = caller if process in chosen else None
    refresh(mine)


def leave(group: Collection[Process], caller: Caller) -> None:
    """Into the background. Raises Error EPERM when the group is of another session."""
    own(group, caller)
    for process in group:
        process.front = None
        put(process, on=False)


def own(group: Collection[Process], caller: Caller) -> None:
    """Raises Error EPERM unless the group is of the caller's session."""
    for process in group:
        if process.sid != caller.conn.peer.sid:
            raise Error("EPERM", f"{process.pgid}: that group is in another session")


def refresh(processes: Iterable[Process]) -> None:
    """Set the foreground flag of every process as the terminal of who stands for it has it."""
    asked: dict[Caller, bool] = {}
    for process in processes:
        stands = _stands(process)
        if stands is not None and stands not in asked:
            asked[stands] = stands.conn.peer.foreground()
        put(process, on=stands is not None and asked[stands])


def _stands(process: Process) -> Caller | None:
    """The connection that waits for it at a terminal: that which took it there, for as long as it lasts, else that
    which has its descriptors. Nobody's foreground is one that is detached, or whose client has left it behind."""
    if process.front is not None and process.front.gone:
        process.front = None
    stands = process.front or (process.owner if process.tty else None)
    return None if stands is None or stands.gone or process.stream is None else stands


def put(process: Process, on: bool) -> None:
    """Into the foreground or the background."""
    stream, host = process.stream, process.host
    if stream is None or stream.task.foreground == on:
        return
    stream.task.foreground = on
    if not on:
        stream.task.boost = 0
    if host is not None and host.cores:
        host.core(stream).queue.requeue(stream)


def boost(process: Process, tokens: int) -> None:
    """A person has just started it or typed a line: it comes first for so many tokens."""
    stream, host = process.stream, process.host
    if stream is None or not stream.task.foreground:
        return
    stream.task.boost = tokens
    if host is not None and host.cores:
        host.core(stream).queue.requeue(stream)
