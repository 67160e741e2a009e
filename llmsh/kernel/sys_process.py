"""System calls on processes: run, kill, wait, ps, renice, limit, setpgid, foreground."""

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from llmsh.abi.errors import Error
from llmsh.abi.limits import INIT, OOM_SAME, PS_PAGE
from llmsh.abi.nice import clamp
from llmsh.abi.signals import SIGNALS
from llmsh.kernel import ending, foreground, rows, signals
from llmsh.kernel import exec as execution
from llmsh.kernel import fork as forking
from llmsh.kernel.caller import Caller, Trap
from llmsh.kernel.proc import Process
from llmsh.kernel.quotas import GROUP, SESSION

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel

EVERYBODY = -1


def sys_run(kernel: "Kernel", call: Trap) -> None:
    """run(2)"""
    execution.run(kernel, call)


def sys_fork(kernel: "Kernel", call: Trap) -> None:
    """fork(2)"""
    forking.fork(kernel, call)


def _target(kernel: "Kernel", pid: int) -> list[Process]:
    if pid == INIT:
        raise Error("EPERM", "1: init takes no signal and no nice value")
    if pid in (0, -1):
        raise Error("EINVAL", f"{pid}: name a process or a group")
    return kernel.table.group(-pid) if pid < 0 else [kernel.table.get(pid)]


def sys_kill(kernel: "Kernel", call: Trap) -> None:
    """kill(2): answers when the signal has taken effect on every target."""
    number = call["sig"]
    if number and number not in SIGNALS:
        raise Error("EINVAL", f"{number}: no such signal")
    everybody = call["pid"] == EVERYBODY
    targets = [each for each in kernel.table if each.alive] if everybody else _target(kernel, call["pid"])
    if not targets:
        raise Error("ESRCH", "no process")
    left = len(targets)

    def done() -> None:
        nonlocal left
        left -= 1
        if not left:
            call.ok({"sent": len(targets)})

    # A pipeline's readers first: the end of file that a dead writer leaves must not overtake the signal,
    # or the last agent of an interrupted pipeline ends with status 0.
    for process in reversed(targets):
        signals.send(kernel, process, number, done)


def sys_wait(kernel: "Kernel", call: Trap) -> None:
    """wait(2)"""
    pid, caller = call["pid"], call.caller
    if pid == -1:
        _wait_any(kernel, call)
        return
    process = kernel.table.find(pid)
    if process is None or process.recorded:
        kept = kernel.statuses.get(pid)
        if kept is None:
            raise Error("ECHILD", f"{pid}: no such process, and no status kept of one")
        call.ok(kept)
        if process is not None and process.owner is caller:
            ending.reap(kernel, process)
        return
    _later(kernel, call, [process])


def _children(kernel: "Kernel", caller: Caller) -> list[Process]:
    """Those that the connection may still wait for. Raises Error ECHILD when there is none."""
    found = map(kernel.table.find, sorted(caller.pids))
    children = [process for process in found if process is not None and not process.waited]
    if not children:
        raise Error("ECHILD", "this connection has no child")
    return children


def _wait_any(kernel: "Kernel", call: Trap) -> None:
    children = _children(kernel, call.caller)
    for process in children:
        if process.recorded:
            call.ok(ending.status_of(process))
            ending.reap(kernel, process)
            return
    _later(kernel, call, children)


def _later(kernel: "Kernel", call: Trap, processes: list[Process]) -> None:
    """Answer at the first end of one of them, or at the time limit."""
    if call["nohang"]:
        raise Error("EAGAIN", "still running")
    caller: Caller = call.caller

    def ended(process: Process) -> None:
        if call["pid"] == -1 and process.waited:
            _taken(kernel, call)
            return
        call.ok(ending.status_of(process))
        if process.owner is caller:
            ending.reap(kernel, process)

    for process in processes:
        process.at_end(call, partial(ended, process))
    if call["timeout_ms"] >= 0:
        kernel.clock.call_later(call["timeout_ms"] / 1000, lambda: call.fail(Error("ETIMEDOUT", "still running")))


def _taken(kernel: "Kernel", call: Trap) -> None:
    """Another call of this connection has the status: this one waits on, if there is still somebody to wait for."""
    try:
        _children(kernel, call.caller)
    except Error as error:
        call.fail(error)


def sys_ps(kernel: "Kernel", call: Trap) -> None:
    """ps(2): a page in order of pid, and whether there are more."""
    wanted, after = call["pids"], call["after"]
    some = map(kernel.table.find, sorted(set(wanted))) if wanted else iter(kernel.table)
    later = (process for process in some if process is not None and process.pid > after)
    page = list(islice(later, PS_PAGE + 1))
    found = [rows.init(kernel)] if after < INIT and (not wanted or INIT in wanted) else []
    found += [rows.process(kernel, process) for process in page[:PS_PAGE]]
    call.ok({"rows": found, "more": len(page) > PS_PAGE})


def sys_renice(kernel: "Kernel", call: Trap) -> None:
    """renice(2)"""
    nice = 0
    for process in _target(kernel, call["pid"]):
        nice = process.nice = clamp(process.nice + call["nice"] if call["relative"] else call["nice"])
        stream, host = process.stream, process.host
        if stream is not None:
            stream.task.nice = nice
            if host is not None and host.cores:
                host.core(stream).queue.requeue(stream)
                host.core(stream).plan()
    call.ok({"nice": nice})


def sys_limit(kernel: "Kernel", call: Trap) -> None:
    """limit(2)"""
    process = kernel.table.get(call["pid"])
    if call["oom"] != OOM_SAME:
        process.oom = call["oom"]
        if process.stream is not None:
            process.stream.oom = process.oom
    for kind in (GROUP, SESSION):
        if call[kind] >= 0:
            kernel.quotas.set(kind, process, call[kind])
    answer = {"oom": process.oom}
    for kind in (GROUP, SESSION):
        quota = kernel.quotas.of(kind, process)
        answer |= {kind: quota.cells if quota else 0, f"{kind}_used": quota.used if quota else 0}
    call.ok(answer)


def sys_setpgid(kernel: "Kernel", call: Trap) -> None:
    """setpgid(2)"""
    process = kernel.table.get(call["pid"])
    pgid = call["pgid"] or process.pid
    if pgid != process.pid:
        if not kernel.table.has_group(pgid):
            raise Error("ESRCH", f"{pgid}: no such process group")
        if any(member.sid != process.sid for member in kernel.table.group(pgid)):
            raise Error("EPERM", f"{pgid}: that group is in another session")
    old = process.pgid
    kernel.table.set_group(process, pgid)
    kernel.quotas.left(old, process.sid)
    kernel.quotas.join(process)
    call.ok({"pgid": pgid})


def sys_foreground(kernel: "Kernel", call: Trap) -> None:
    """foreground(2)"""
    group = kernel.table.group(call["pgid"])
    if call["on"]:
        foreground.take(kernel.table, group, call.caller)
        for process in group:
            foreground.boost(process, kernel.settings.boost_tokens)
    else:
        foreground.leave(group, call.caller)
    call.ok()
