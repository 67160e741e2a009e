"""Who is in the foreground: the terminal's foreground group has somebody waiting before it.

The machine's kernel knows (tpgid in /proc/PID/stat); this asks it now and then, and at each line
typed. A boost is 64 tokens (a setting) before everybody; then weight times 8.
"""

from collections.abc import Iterable

from llmsh.kernel.proc import Process


def refresh(processes: Iterable[Process]) -> None:
    """Set the foreground flag of every attached process that has a terminal."""
    asked: dict[object, bool] = {}
    for process in processes:
        owner = process.owner
        if process.stream is None or owner is None or owner.gone or not process.tty:
            continue
        if owner not in asked:
            asked[owner] = owner.conn.peer.foreground()
        put(process, asked[owner])


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
