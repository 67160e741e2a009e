"""System calls on descriptors: pipe, write, ack, close, logs."""

from functools import partial
from typing import TYPE_CHECKING

from llmsh.abi.errors import Error
from llmsh.abi.limits import BODY_CHUNK, PIPE_MIN
from llmsh.kernel import foreground
from llmsh.kernel.caller import Caller, Trap
from llmsh.kernel.outlet import Outlet
from llmsh.kernel.pipe import Pipe
from llmsh.kernel.proc import Process
from llmsh.kernel.workqueue import Share, WorkQueue

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel

PIPES_MAX = 256
"""Pipes of one connection that wait for both their ends."""


def sys_pipe(kernel: "Kernel", call: Trap) -> None:
    """pipe(2)"""
    caller = call.caller
    if len(caller.pipes) >= PIPES_MAX:
        raise Error("EAGAIN", f"{PIPES_MAX} pipes of this connection have a free end")
    if call["capacity"] and call["capacity"] < PIPE_MIN:
        raise Error("EINVAL", f"capacity must be at least {PIPE_MIN}")
    kernel.pipes += 1
    capacity = call["capacity"] or kernel.settings.pipe_capacity
    pipe = WorkQueue(capacity, kernel.pipes, partial(_want, caller)) if call["shared"] else Pipe(capacity, kernel.pipes)
    caller.pipes[pipe.ident] = pipe
    call.ok({"id": pipe.ident, "capacity": pipe.capacity})


def _want(caller: Caller, pid: int, count: int) -> None:
    caller.event({"ev": "want", "pid": pid, "fd": 0, "n": count})


def _mine(kernel: "Kernel", call: Trap) -> Process:
    process = kernel.table.get(call["pid"])
    if process.owner is not call.caller:
        raise Error("EPERM", f"{process.pid}: its descriptors belong to another connection")
    return process


def _input(process: Process) -> Pipe:
    file = process.files[0]
    if isinstance(file.pipe, Share) and not file.pipe.queue.has_writer:
        return file.pipe.queue
    if file.kind != "client" or file.pipe is None:
        raise Error("EBADF", f"{process.pid}: its input is not this connection's")
    return file.pipe


def sys_write(kernel: "Kernel", call: Trap) -> None:
    """write(2)"""
    process = _mine(kernel, call)
    if call["fd"] != 0:
        raise Error("EBADF", f"{call['fd']}: only descriptor 0 is written by a client")
    pipe = _input(process)
    if pipe.read_closed or not process.alive:
        raise Error("EPIPE", f"{process.pid}: it reads no more")
    if pipe.write_closed:
        raise Error("EBADF", f"{process.pid}: its input is closed already")
    if len(call.body) > pipe.room:
        raise Error("EAGAIN", f"{len(call.body)} bytes, room for {pipe.room}")
    if process.image is not None and process.image.tty:
        foreground.refresh([process])
        foreground.boost(process, kernel.settings.boost_tokens)
    pipe.write(call.body)
    if call["eof"]:
        pipe.close_write()
    call.ok({"n": len(call.body)})


def _outlet(process: Process, fd: int) -> Outlet:
    if fd not in process.outlets:
        raise Error("EBADF", f"{process.pid}: descriptor {fd} does not lead to this connection")
    return process.outlets[fd]


def sys_ack(kernel: "Kernel", call: Trap) -> None:
    """ack(2)"""
    _outlet(_mine(kernel, call), call["fd"]).ack(call["n"])
    call.ok()


def sys_close(kernel: "Kernel", call: Trap) -> None:
    """close(2)"""
    process = _mine(kernel, call)
    if call["fd"] == 0:
        _input(process).close_write()
    else:
        _outlet(process, call["fd"]).hangup()
    call.ok()


def sys_logs(kernel: "Kernel", call: Trap) -> None:
    """logs(2): at most one chunk; an empty one with eof unset means: ask again with follow."""
    pid = call["pid"]
    process = kernel.table.find(pid)
    live = process is not None and process.alive
    offset, data = kernel.ledger.read_log(pid, call["offset"], BODY_CHUNK)
    if data or not call["follow"] or not live:
        call.ok({"offset": offset, "eof": not data and not live}, data)
        return

    def more() -> None:
        if not call.answered:
            start, found = kernel.ledger.read_log(pid, offset, BODY_CHUNK)
            call.ok({"offset": start, "eof": False}, found)

    assert process is not None
    kernel.ledger.on_log(pid, more)
    process.at_end(call, more)
