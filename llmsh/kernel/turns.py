"""Whose turn it is on a core whose seats all belong to the foreground: one token of the background at a time, and
one of the foreground at least between two of them.

Who has waited too long has a turn in any case; others as the policy says, if the foreground keeps its pace with two
steps from one of its tokens to the next. It takes no lease back and grants none: the core does.
"""

from typing import Protocol

from llmsh.abi.lease import Step
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.seating import Seating
from llmsh.kernel.stream import Stream


class Owner(Protocol):
    """The core."""

    queue: RunQueue
    leased: dict[int, Stream]
    seating: Seating


class Turns:
    """Of one core."""

    def __init__(self, core: Owner) -> None:
        self.guest: Stream | None = None
        """Whose turn it is."""
        self._core = core
        self._rested = True
        """Somebody in the foreground was in a step since the last turn, or since a lease was taken back for one."""

    @property
    def full(self) -> bool:
        """Whether the foreground can fill all seats."""
        return 0 < self._core.seating.seats <= len(self._core.queue.front)

    def saw(self, step: Step) -> None:
        """One decode, before it is accounted: a turn ends with it, or the foreground has had its own."""
        if self.guest is None and not self._core.queue.front:
            return
        served = {row[0] for row in step.rows} | {q for q, _ in step.fed}
        if self.guest is not None and self.guest.q in served:
            self.guest, self._rested = None, False
        elif any(stream.q in served for stream in self._core.queue.front.values()):
            self._rested = True

    def next(self, keeps: bool) -> Stream | None:
        """Who is to be served before the foreground, for one token. `keeps`: whether it keeps its pace if so."""
        usual = keeps and self._core.queue.first is self._core.queue.policy
        if not self.full:
            self.guest = None
        elif self.guest is None or not self._may(self.guest, usual):
            self.guest = self._choose(usual) if self._rested else None
        return self.guest

    def _may(self, guest: Stream, usual: bool) -> bool:
        return guest in self._core.queue and not guest.task.foreground and (usual or guest.task.boost > 0)

    def _choose(self, usual: bool) -> Stream | None:
        queue = self._core.queue
        task = queue.urgent.overdue()
        if task is None and usual:
            task = queue.policy.pick()
        return queue.streams[task.ident] if task is not None and not task.foreground else None

    def free(self) -> bool:
        """Whether somebody who waited too long may sit, since nobody of the foreground does."""
        return not (self.full and any(each.task.foreground for each in self._core.leased.values()))

    def takes(self) -> bool:
        """Whether the guest may be given another's seat now; once, until the foreground was in a step again."""
        if not self._rested or any(each.halting for each in self._core.leased.values()):
            return False
        self._rested = False
        return True
