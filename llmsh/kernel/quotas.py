"""Which groups and sessions have a limit of cells, and whom each concerns. What a limit does is quota.py's."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmsh.kernel.proc import Process
from llmsh.kernel.quota import Quota
from llmsh.kernel.stream import SCORE

if TYPE_CHECKING:
    from llmsh.kernel.kernel import Kernel

GROUP, SESSION = "group", "session"
Key = tuple[str, int]


class Quotas:
    """The limits that are set; each goes with the last process of its group or session."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._set: dict[Key, Quota] = {}

    def of(self, kind: str, process: Process) -> Quota | None:
        """The limit of its group or its session, if there is one."""
        return self._set.get(_key(kind, process))

    def bound(self, process: Process) -> int:
        """The most cells that it could ever have; 0: no limit."""
        return min((quota.cells for quota in self._all(process)), default=0)

    def cause(self, process: Process) -> str:
        """What is full before its context is, in words; empty when nothing is."""
        found = [(quota.cells, kind) for kind in (GROUP, SESSION) if (quota := self.of(kind, process)) is not None]
        cells, kind = min(found, default=(0, ""))
        if not cells or cells > self._kernel.own_context(process):
            return ""
        return f"its {kind} may have {cells} cells: ENOMEM"

    def set(self, kind: str, process: Process, cells: int) -> None:
        """Limit its group or its session to so many cells, 0 for no limit. Who alone has more already ends."""
        key = _key(kind, process)
        quota = self._set.pop(key, None)
        if cells:
            quota = self._set[key] = quota or Quota(cells)
            quota.cells = cells
        for each in list(self._kernel.table):
            if _key(kind, each) == key:
                self.join(each)
        if quota is not None:
            quota.reclaim()
            quota.freed()

    def join(self, process: Process) -> None:
        """It has begun, or is of another group now, or a limit of it has changed."""
        stream = process.stream
        if stream is None or not process.alive:
            return
        quotas = tuple(self._all(process))
        for old in stream.quotas:
            if old not in quotas:
                old.leave(stream)
        stream.quotas = quotas
        if process.host is not None and process.host.cores:
            for quota in quotas:
                quota.enter(process.host.core(stream), stream)
        bound = self.bound(process)
        labels = sum(map(len, stream.labels)) if stream.goal == SCORE else 0
        if bound and len(stream) + (labels or 1) > bound:
            more = f" and labels of {labels}" if labels else ""
            self._kernel.leave(process, 1, f"context of {len(stream)} tokens{more}, {self.cause(process)}")
        elif stream.answer is not None:
            stream.answer.end = min(stream.answer.most, bound or stream.answer.most)

    def left(self, pgid: int, sid: int) -> None:
        """A process is no more of this group, or of this session."""
        if not self._kernel.table.has_group(pgid):
            self._set.pop((GROUP, pgid), None)
        if not self._kernel.table.in_session(sid):
            self._set.pop((SESSION, sid), None)

    def check(self) -> list[str]:
        """Faults in the books of all limits."""
        return [
            f"the limit of {kind} {ident}: {fault}"
            for (kind, ident), each in self._set.items()
            for fault in each.check()
        ]

    def _all(self, process: Process) -> Iterator[Quota]:
        found = (self.of(kind, process) for kind in (GROUP, SESSION))
        return (quota for quota in found if quota is not None)


def _key(kind: str, process: Process) -> Key:
    return kind, process.pgid if kind == GROUP else process.sid
