"""The end of a process: descriptors closed, cells given back, status kept, zombie until waited for.

Source: exit(3), wait(2). It sends no signal but PIPE (to who wrote to it) and tells, never asks.
"""

from collections import OrderedDict
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from llmsh.abi.limits import STATUSES_KEPT
from llmsh.abi.states import ZOMBIE
from llmsh.kernel.proc import Process

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel


class Statuses:
    """Exit statuses of the last STATUSES_KEPT processes, by pid."""

    def __init__(self, kept: dict[int, dict[str, Any]]) -> None:
        self._kept: OrderedDict[int, dict[str, Any]] = OrderedDict(kept)

    def add(self, record: dict[str, Any]) -> None:
        """Keep a status; the oldest goes."""
        self._kept[record["pid"]] = record
        while len(self._kept) > STATUSES_KEPT:
            self._kept.popitem(last=False)

    def get(self, pid: int) -> dict[str, Any] | None:
        """What `wait` answers for this pid."""
        return self._kept.get(pid)

    def purge(self, spared: Collection[int]) -> int:
        """Forget all but those; how many went."""
        gone = [pid for pid in self._kept if pid not in spared]
        for pid in gone:
            del self._kept[pid]
        return len(gone)


def status_of(process: Process) -> dict[str, Any]:
    """What `wait` and the exit event say of a process that has ended; of a rated one also how likely its answer is."""
    record: dict[str, Any] = {
        "pid": process.pid,
        "status": process.status,
        "signal": process.signal,
        "reason": process.reason,
    }
    if process.image is not None and process.image.sampling.rated:
        record |= {"logprob": process.logprob, "tokens_out": process.tokens_out}
    return record


def end(kernel: "Kernel", process: Process, status: int, signal: int = 0, reason: str = "") -> None:
    """End a process now. A second call does nothing: the first cause is the status."""
    if not process.alive:
        return
    stopped = process.stopped
    process.move(ZOMBIE)
    if stopped and process.owner is not None:
        kernel.rouse(process.owner)
    process.status, process.signal, process.reason = status, signal, reason
    process.wchan = ""
    process.ended = kernel.clock.wall()
    for timer in process.timers:
        timer.cancel()
    process.timers.clear()
    process.effects, process.waiting, process.event = [], None, None
    calls = []
    if process.stream is not None and process.host is not None:
        calls, process.stream.on_quiet = process.stream.on_quiet, []
        process.stream.goal = ""
        process.host.leave(process.stream)
        for quota in process.stream.quotas:
            quota.leave(process.stream)
            quota.freed()
    process.stream = None
    process.program_state = None
    kernel.forget_interpreter(process)
    kernel.goals.forget(process)
    # Who waited for this process to be quiet (STOP, then KILL) has what it waited for.
    for quiet in calls:
        quiet()
    for file in process.files:
        file.close()
    kernel.statuses.add(status_of(process))
    kernel.table.adopt(process.pid)
    kernel.ledger.ended(process, partial(_recorded, kernel, process))


def _recorded(kernel: "Kernel", process: Process) -> None:
    """The status is on disk: from now on no crash can make it another, so whoever asked may have it."""
    process.recorded = True
    waiters, process.waiters = process.waiters, []
    for call, answer in waiters:
        if not call.answered:
            answer()
    settle(kernel, process)
    kernel.recorded()


def settle(kernel: "Kernel", process: Process) -> None:
    """Once it has ended and its output is out: tell its owner, and reap it if nobody else will."""
    if not process.recorded or process.told or not all(outlet.done for outlet in process.outlets.values()):
        return
    process.told = True
    owner = process.owner
    if owner is not None:
        owner.event({"ev": "exit", **status_of(process)})
    if process.waited or owner is None or owner.gone:
        reap(kernel, process)


def reap(kernel: "Kernel", process: Process) -> None:
    """Take a zombie out of the table. One whose output is still on its way is left to `settle`."""
    process.waited = True
    if process.alive or not process.told or kernel.table.find(process.pid) is not process:
        return
    if process.owner is not None:
        process.owner.pids.discard(process.pid)
    kernel.table.remove(process)
    kernel.quotas.left(process.pgid, process.sid)
