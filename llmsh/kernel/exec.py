"""Makes a process of a unit: checks, descriptors, journal, then the program's first step.

Nothing has happened until the journal has the process: a full disk fails the call and leaves no
trace. Source: execve(2).
"""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.limits import ENV_KEPT, INIT
from llmsh.abi.program import Image
from llmsh.abi.states import ZOMBIE
from llmsh.abi.unit import Unit
from llmsh.abi.unitfile import validate_options
from llmsh.kernel import ending, foreground, signals
from llmsh.kernel.caller import Caller, Trap
from llmsh.kernel.file import File, null
from llmsh.kernel.host import Host
from llmsh.kernel.interpreter import Interpreter
from llmsh.kernel.outlet import Outlet
from llmsh.kernel.params import Params, merge
from llmsh.kernel.pipe import Pipe
from llmsh.kernel.proc import Process
from llmsh.kernel.quotas import GROUP
from llmsh.kernel.sched import Task
from llmsh.kernel.stream import Stream
from llmsh.kernel.workqueue import WorkQueue

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel

NOTES_MAX = 64 << 10
"""Room of standard error: notes are never a reason to wait."""


def run(kernel: "Kernel", call: Trap) -> None:
    """sys_run: answers with pid and pgid once the process is journaled."""
    if kernel.stopping:
        raise Error("EAGAIN", "the daemon is stopping")
    unit = kernel.units(call["agent"])
    program = kernel.programs.get(unit.kind)
    if program is None:
        raise Error("ENOEXEC", f"{unit.name}: no such kind of program: {unit.kind}")
    room(kernel, call.caller.conn.peer.sid)
    check_group(kernel, call, call.caller.conn.peer.sid)
    options = validate_options(unit, call["options"])
    params = merge(unit, call["params"])
    model = call["model"] or unit.model or str(call["env"].get("LLMSH_MODEL", "")) or kernel.settings.model
    opened = ends(call)
    host = kernel.host(model)
    process = _process(kernel, call, unit, params)
    process.model = model
    process.program = program
    process.image = _image(call, unit, params, options)
    goal = kernel.goals.state(process, params, host, kernel.clock.now())
    open_ends(kernel, call, process, opened)
    kernel.table.add(process)
    if goal is not None:
        kernel.goals.add(process, goal, host, kernel.clock.now())
    task = Task(process.pid, str(process.sid), process.nice)
    interpreter = Interpreter(kernel, process, Stream(process.pid, task, params.deterministic, unit.key))
    kernel.ledger.started(process, partial(journaled, kernel, call, process, interpreter, params.limits.group))


def room(kernel: "Kernel", sid: int) -> None:
    """Raises Error EAGAIN when a session has all the processes that it may."""
    if kernel.table.in_session(sid) >= kernel.settings.nproc:
        raise Error("EAGAIN", f"session {sid} has {kernel.settings.nproc} processes already")


def check_group(kernel: "Kernel", call: Trap, sid: int) -> None:
    """Raises Error EPERM when the group to join is not one of the session."""
    pgid = call["pgid"]
    if pgid and not any(member.sid == sid for member in _members(kernel, pgid)):
        raise Error("EPERM", f"{pgid}: no such process group in this session")


def _members(kernel: "Kernel", pgid: int) -> list[Process]:
    return kernel.table.group(pgid) if kernel.table.has_group(pgid) else []


def _process(kernel: "Kernel", call: Trap, unit: Unit, params: Params) -> Process:
    peer = call.caller.conn.peer
    pid = kernel.table.next_pid()
    process = Process(pid, INIT if call["detach"] else peer.pid, call["pgid"] or pid, peer.sid, unit.name)
    process.nice = max(-20, min(19, call["nice"] + unit.nice))
    process.oom = params.oom
    process.args = list(call["args"])
    process.cwd, process.umask = call["cwd"], call["umask"]
    process.env = {name: str(value) for name, value in call["env"].items() if name in ENV_KEPT}
    process.started, process.began = kernel.clock.wall(), kernel.clock.now()
    process.detached = call["detach"]
    process.tty = peer.tty
    limits = process.limits
    limits.tokens, limits.answer = params.limits.tokens, params.limits.answer
    limits.context, limits.output = params.limits.context, params.limits.output
    limits.seconds = params.limits.seconds
    limits.grace = kernel.settings.grace_s if params.grace is None else params.grace
    return process


def _image(call: Trap, unit: Unit, params: Params, options: dict[str, Any]) -> Image:
    if params.schema != unit.schema:
        unit = msgspec.structs.replace(unit, schema=params.schema)
    return Image(
        unit=unit,
        args=list(call["args"]),
        options=options,
        sampling=params.sampling,
        stdin=call["stdin"] != "null",
        tty=params.tty,
        max_tokens=params.limits.answer,
        raw=params.raw,
        shift=params.shift,
        scores=params.scores,
        output_json=params.json,
    )


# Descriptors.

Ends = list[tuple[str, Pipe | None]]


def ends(call: Trap) -> Ends:
    """What stdin, stdout and stderr name, checked before anything is made."""
    found: Ends = []
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        kind, _, number = call[name].partition(":")
        allowed = (("client", "null", "pipe"), ("client", "log", "null", "pipe"), ("client", "log", "null"))[fd]
        if kind not in allowed or bool(number) != (kind == "pipe"):
            raise Error("EINVAL", f"{name} must be one of {', '.join(allowed)}, not {call[name]!r}")
        pipe = None
        if kind == "pipe":
            pipe = call.caller.pipes.get(int(number)) if number.isdecimal() and len(number) < 16 else None
            alone = not isinstance(pipe, WorkQueue)
            taken = pipe is not None and (pipe.has_reader and alone if fd == 0 else pipe.has_writer)
            if pipe is None or taken:
                raise Error("EBADF", f"{name}: no pipe {number} with that end free")
        found.append((kind, pipe))
    if call["detach"] and any(kind in ("client", "pipe") for kind, _ in found):
        raise Error("EINVAL", "a detached process cannot hold a client's descriptors")
    return found


def open_ends(kernel: "Kernel", call: Trap, process: Process, named: Ends) -> None:
    """Give the process the descriptors that were named."""
    settle = partial(ending.settle, kernel, process)
    for fd, (kind, pipe) in enumerate(named):
        writes = fd > 0
        if kind == "null":
            process.files.append(null(writes))
        elif pipe is not None:
            process.files.append(_share(call.caller, process, pipe, writes))
        elif kind == "log":
            process.files.append(File("log", kernel.ledger.sink(process, partial(_unwritten, kernel, process)), writes))
        else:
            process.files.append(_client(kernel, call.caller, process, fd, settle))


def _share(caller: Caller, process: Process, pipe: Pipe, writes: bool) -> File:
    if isinstance(pipe, WorkQueue) and not writes:
        share = pipe.join(process.pid)
        file = File("pipe", share, writes)
        file.on_read = share.ask
        return file
    if writes:
        pipe.has_writer = True
    else:
        pipe.has_reader = True
    if pipe.has_reader and pipe.has_writer and not isinstance(pipe, WorkQueue):
        del caller.pipes[pipe.ident]
    return File("pipe", pipe, writes)


def _client(kernel: "Kernel", caller: Caller, process: Process, fd: int, settle: Callable[[], None]) -> File:
    if fd == 0:
        file = File("client", Pipe(kernel.settings.pipe_capacity), writes=False)
        file.on_read = partial(_want, caller, process.pid)
        return file
    pipe = Pipe(kernel.settings.pipe_capacity if fd == 1 else NOTES_MAX)
    process.outlets[fd] = Outlet(caller, process.pid, fd, pipe, settle)
    return File("client", pipe, writes=True)


def _want(caller: Caller, pid: int, count: int) -> None:
    caller.event({"ev": "want", "pid": pid, "fd": 0, "n": count})


def _unwritten(kernel: "Kernel", process: Process, error: Error) -> None:
    """Its output cannot be kept, so it is not made."""
    process.files[1:] = [null(writes=True), null(writes=True)]
    kernel.end(process, 1, reason=error.detail)


# The beginning.


def journaled(
    kernel: "Kernel", call: Trap, process: Process, interpreter: Interpreter, cells: int, error: Error | None
) -> None:
    """The journal has the process, or refuses it. `cells`: the limit of its group, if that has none yet; 0 for none."""
    host = None
    if error is None and process.alive:
        try:
            # The model may have been unloaded, or its engine given up, meanwhile.
            host = kernel.host(process.model)
        except Error as fault:
            error = fault
    if error is not None:
        _undo(kernel, process)
        call.fail(error)
    elif host is None:
        # Somebody guessed its pid and killed it before it was one.
        call.ok({"pid": process.pid, "pgid": process.pgid})
        call.caller.event({"ev": "exit", **ending.status_of(process)})
    else:
        if cells and kernel.quotas.of(GROUP, process) is None:
            kernel.quotas.set(GROUP, process, cells)
        _born(kernel, call, process, host, interpreter)


def _born(kernel: "Kernel", call: Trap, process: Process, host: Host, interpreter: Interpreter) -> None:
    """It is journaled: it has a stream, an owner, and a beginning."""
    if not call.caller.gone:
        if not process.detached:
            process.owner = call.caller
            call.caller.pids.add(process.pid)
            if process.ppid == INIT:  # its parent ended meanwhile
                process.ppid = process.reaper
    elif not process.detached:
        process.ppid = INIT
    stream = interpreter.stream
    stream.task.goal, stream.oom = process.goal, process.oom
    process.stream, process.host = stream, host
    call.ok({"pid": process.pid, "pgid": process.pgid})
    kernel.quotas.join(process)
    if not process.alive:  # a copy of a context that its new group has no room for
        return
    host.join(stream)
    kernel.add_interpreter(process, interpreter)
    kernel.log_tokens(process, len(stream))
    if process.stopped:  # by somebody who saw it in ps before its owner knew of it
        kernel.tell_state(process)
    _wire(kernel, process, interpreter)
    if call.caller.gone and not process.detached:
        kernel.end(process, 129, 1)
        return
    peer = call.caller.conn.peer
    if process.tty and not process.detached and peer.foreground():
        foreground.put(process, on=True)
        foreground.boost(process, kernel.settings.boost_tokens)
    if process.limits.seconds:
        process.timers.append(
            kernel.clock.call_later(
                process.limits.seconds, lambda: signals.finish(kernel, process, 124, reason="timed out")
            )
        )
    if process.goal is not None and process.goal.due < inf:
        left = process.goal.due - kernel.clock.now()
        process.timers.append(kernel.clock.call_later(left, partial(kernel.goals.passed, process)))
    if host.ready:
        begin(kernel, process)
    else:
        interpreter.wait("load")
        host.on_ready.append(partial(begin, kernel, process))


def _wire(kernel: "Kernel", process: Process, interpreter: Interpreter) -> None:
    """Let the descriptors' far ends wake and end the process."""
    room, hangup = partial(_room, kernel, process), partial(kernel.broken_pipe, process)
    for file in process.files:
        if file.pipe is None:
            continue
        if file.writes:
            file.pipe.on_room, file.pipe.on_hangup = room, hangup
            if file.gone:
                kernel.broken_pipe(process)
        else:
            file.pipe.on_data = interpreter.poke


def _room(kernel: "Kernel", process: Process) -> None:
    """A reader took some, which it does for every token: only who waits for that is woken."""
    if process.wchan == "pipe":
        kernel.go_on(process)


def _undo(kernel: "Kernel", process: Process) -> None:
    """The process never was."""
    for file in process.files:
        file.close()
    kernel.goals.forget(process)
    if process.alive:
        process.move(ZOMBIE)
        kernel.table.remove(process)
        kernel.quotas.left(process.pgid, process.sid)
        kernel.ledger.logs.finished(process.pid)
        for call, _ in process.waiters:
            call.fail(Error("ECHILD", f"{process.pid}: it could not be started"))


def begin(kernel: "Kernel", process: Process) -> None:
    """The model is there: the program's first step, unless the process is stopped."""
    if not process.alive or process.host is None or process.image is None:
        return
    if process.host.failure:
        kernel.leave(process, 1, process.host.failure)
        return
    vocab = process.host.facts.vocab
    alien = [token for token in process.image.sampling.logit_bias if token >= vocab]
    if alien:
        kernel.leave(process, 2, f"logit_bias: token {min(alien)}: expected 0 to {vocab - 1}, the model's tokens")
        return
    process.image = msgspec.structs.replace(process.image, context=kernel.own_context(process))
    if process.program_state is not None:  # a child goes on from where its parent was
        signals.deliver(kernel, process)
        kernel.go_on(process)
    elif not process.stopped:
        interpreter = kernel.interpreter(process)
        interpreter.wait("")
        interpreter.start()
