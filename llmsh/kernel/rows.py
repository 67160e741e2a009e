"""Records of processes and devices, as `ps` and `lsdev` print them. Fields: abi/records.py."""

from math import inf
from typing import TYPE_CHECKING, Any

from llmsh.abi.limits import INIT
from llmsh.abi.states import SLEEP, ZOMBIE
from llmsh.kernel.host import Host
from llmsh.kernel.proc import Process

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel


def _stat(process: Process) -> str:
    letter = process.state
    if process.nice:
        letter += "<" if process.nice < 0 else "N"
    if process.stream is not None and process.stream.task.foreground:
        letter += "+"
    return letter


def _memory(process: Process) -> dict[str, int]:
    stream, host = process.stream, process.host
    size = host.facts.cell_bytes if host is not None else 0
    counts = {"rss": 0, "shared": 0, "swap": 0}
    if stream is not None and stream.image:
        counts["swap"] = stream.image
    elif stream is not None and host is not None and host.resident(stream):
        counts |= {"rss": stream.computed, "shared": stream.shared}
    return counts | {f"{name}_bytes": count * size for name, count in counts.items()}


def _deadline(kernel: "Kernel", process: Process) -> float | str | None:
    goal = process.goal
    if goal is None or not process.alive:
        return None
    return "late" if goal.late else None if goal.due == inf else round(goal.due - kernel.clock.now(), 3)


def process(kernel: "Kernel", process: Process) -> dict[str, Any]:
    """One row of ps."""
    stream = process.stream
    resident = stream is not None and process.host is not None and process.host.resident(stream)
    return {
        "pid": process.pid,
        "ppid": process.ppid,
        "pgid": process.pgid,
        "sid": process.sid,
        "stat": _stat(process),
        "nice": process.nice,
        "oom": process.oom,
        "agent": process.agent,
        "model": process.model,
        "core": stream.core if stream is not None and resident else -1,
        "tokens_in": process.tokens_in,
        "tokens_out": process.tokens_out,
        "ctx": len(stream) if stream is not None else 0,
        **_memory(process),
        "time_ms": round(process.device_ms),
        "started": process.started,
        "elapsed_ms": round((kernel.clock.now() - process.began) * 1000),
        "tty": process.tty or "?",
        "deadline": _deadline(kernel, process),
        "wchan": process.wchan or "-",
        "status": process.status if process.state == ZOMBIE else None,
        "args": " ".join([process.agent, *process.args])[:256],
    }


def init(kernel: "Kernel") -> dict[str, Any]:
    """The row of pid 1, which adopts and reaps."""
    zeros = ("tokens_in", "tokens_out", "ctx", "rss", "shared", "swap", "rss_bytes", "shared_bytes", "swap_bytes")
    return {
        "pid": INIT,
        "ppid": 0,
        "pgid": INIT,
        "sid": INIT,
        "stat": SLEEP,
        "nice": 0,
        "oom": 0,
        "agent": "init",
        "model": "",
        "core": -1,
        **dict.fromkeys(zeros, 0),
        "time_ms": 0,
        "started": kernel.began_wall,
        "elapsed_ms": round((kernel.clock.now() - kernel.began) * 1000),
        "tty": "?",
        "deadline": None,
        "wchan": "wait",
        "status": None,
        "args": "init",
    }


def device(kernel: "Kernel", model: str, host: Host) -> dict[str, Any]:
    """One row of lsdev."""
    facts, cores = host.facts, host.cores.values()
    at_work = host.tuning.configuration or facts
    used = sum(core.cells.used for core in cores)
    return {
        "name": host.device.name,
        "kind": host.device.kind,
        "model": model,
        "pid": host.device.pid,
        "state": "waiting" if kernel.models.waits(host) else host.state,
        "incarnation": host.incarnation,
        "threads": at_work.threads,
        "threads_batch": at_work.threads_batch,
        "cores": facts.cores,
        "cells": facts.cells * facts.cores + host.exact,
        "cells_used": used,
        "sequences": sum(len(core.cells.residents) for core in cores),
        "cell_bytes": facts.cell_bytes,
        "bytes": host.bytes,
        "context": facts.context,
        "tokens_in": host.tokens_in,
        "tokens_out": host.tokens_out,
        "steps": host.steps,
        "moves": host.moves,
    }


def memory(model: str, host: Host) -> dict[str, Any]:
    """One row of free: cells, then bytes."""
    used = sum(core.cells.used for core in host.cores.values())
    sharing = [core.sharing for core in host.cores.values()]
    total = host.capacity
    counts = {
        "total": total,
        "used": used,
        "free": total - used,
        "shared": sum(each.shared for each in sharing),
        "cached": sum(each.cached for each in sharing),
        "swap": host.saved,
    }
    return {
        "name": host.device.name,
        "model": model,
        **counts,
        **{f"{name}_bytes": count * host.facts.cell_bytes for name, count in counts.items()},
    }
