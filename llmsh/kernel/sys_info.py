"""System calls on the kernel and its devices: hello, null, dmesg, uptime, free, lsdev, vmstat, load,
unload, sched, purge, check, shutdown."""

import os
from functools import partial
from typing import TYPE_CHECKING

from llmsh.abi.errors import Error
from llmsh.abi.states import RUN
from llmsh.abi.version import BUILD, MAJOR, MINOR
from llmsh.kernel import activity, rows
from llmsh.kernel.caller import Trap
from llmsh.kernel.host import Host
from llmsh.kernel.sched import POLICIES

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel


def _up(kernel: "Kernel") -> int:
    return round((kernel.clock.now() - kernel.began) * 1000)


def sys_hello(kernel: "Kernel", call: Trap) -> None:
    """hello(2)"""
    if call["major"] != MAJOR:
        raise Error(
            "EVERSION",
            f"the daemon speaks version {MAJOR}.{MINOR}, you {call['major']}.{call['minor']}: llmsh daemon restart",
        )
    call.caller.greeted = True
    call.ok({"major": MAJOR, "minor": MINOR, "build": BUILD, "pid": os.getpid(), "uptime_ms": _up(kernel)})


def sys_null(kernel: "Kernel", call: Trap) -> None:
    """null(2)"""
    call.ok()


def sys_dmesg(kernel: "Kernel", call: Trap) -> None:
    """dmesg(2): a page; an empty one is the end."""
    after = call["after"]
    found = kernel.console.page(after)
    if found or not call["follow"]:
        call.ok({"rows": found})
        return

    def more() -> None:
        if not call.answered:
            call.ok({"rows": kernel.console.page(after)})

    kernel.console.follow(more)


def sys_uptime(kernel: "Kernel", call: Trap) -> None:
    """uptime(2)"""
    runnable = sum(process.state == RUN for process in kernel.table)
    if not kernel.ticking:
        kernel.load.note(kernel.clock.now(), runnable)
    call.ok(
        {
            "up_ms": _up(kernel),
            "started": kernel.began_wall,
            "runnable": runnable,
            "processes": len(kernel.table),
            "sessions": kernel.table.sessions,
            "load": kernel.load.averages(),
        }
    )


def sys_free(kernel: "Kernel", call: Trap) -> None:
    """free(2)"""
    call.ok({"rows": [rows.memory(model, host) for model, host in kernel.hosts.items()]})


def sys_lsdev(kernel: "Kernel", call: Trap) -> None:
    """lsdev(2)"""
    found = [rows.device(kernel, model, host) for model, host in kernel.hosts.items()]
    if call["long"]:
        hosts = kernel.hosts.values()
        more = [
            {"rates": host.tuning.record() | {"restore": host.swap.restore.record()}, "layout": activity.taxes(host)}
            for host in hosts
        ]
        found = [row | each for row, each in zip(found, more, strict=True)]
    call.ok({"rows": found})


def sys_vmstat(kernel: "Kernel", call: Trap) -> None:
    """vmstat(2)"""
    call.ok(activity.record(kernel))


def sys_load(kernel: "Kernel", call: Trap) -> None:
    """load(2): answers when the engine is ready."""
    model = call["model"] or kernel.settings.model
    host = kernel.host(model)
    if host.ready:
        call.ok({"name": model})
    else:
        host.asked += 1
        host.on_ready.append(partial(_loaded, call, model, host))


def _loaded(call: Trap, model: str, host: Host) -> None:
    if host.failure:
        code = "ENOMEM" if host.memory.exceeds(host) else "ENOEXEC"
        call.fail(Error(code, f"{model}: {host.failure}"))
    else:
        call.ok({"name": model})


def sys_unload(kernel: "Kernel", call: Trap) -> None:
    """unload(2)"""
    host = kernel.hosts.get(call["model"])
    if host is None:
        raise Error("ENODEV", f"{call['model']}: not loaded")
    if host.members:
        raise Error("EBUSY", f"{call['model']}: {len(host.members)} processes use it")
    kernel.unload(call["model"])
    call.ok()


def sys_sched(kernel: "Kernel", call: Trap) -> None:
    """sched(2)"""
    policy = call["policy"]
    if policy:
        if policy not in POLICIES:
            raise Error("EINVAL", f"{policy}: no such policy; there are {', '.join(POLICIES)}")
        if policy != kernel.policy:  # what everybody had begins anew with another one only
            kernel.say(f"policy {policy} in place of {kernel.policy}")
            kernel.policy = policy
            for host in kernel.hosts.values():
                host.schedule(policy)
    call.ok({"policy": kernel.policy, "policies": list(POLICIES)})


def sys_purge(kernel: "Kernel", call: Trap) -> None:
    """purge(2)"""
    spared = {process.pid for process in kernel.table}
    forgotten = kernel.statuses.purge(spared)

    def done(count: int, error: Error | None) -> None:
        if error is not None:
            call.fail(error)
        else:
            call.ok({"processes": forgotten, "bytes": count})

    kernel.ledger.purge(spared, done)


def sys_check(kernel: "Kernel", call: Trap) -> None:
    """check(2)"""
    hosts = kernel.hosts.values()
    call.ok(
        {
            "faults": kernel.check(),
            "processes": len(kernel.table),
            "pipes": sum(len(caller.pipes) for caller in kernel.callers.values()),
            "cells": sum(host.held for host in hosts),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "dropped": sum(host.dropped for host in hosts),
        }
    )


def sys_shutdown(kernel: "Kernel", call: Trap) -> None:
    """shutdown(2)"""
    if kernel.on_stop is None:
        raise Error("ENOSYS", "this daemon is stopped by whoever started it")
    call.ok()
    kernel.on_stop(call["grace_ms"])
