"""Who of one core waits so that a session with few processes gets its share of the device.

A step lasts as long as all its rows take: beside a flood of another session, one process would get one row of
many, however much is due to it. So as long as its session is behind, those of the sessions that are ahead wait;
they go on once it has caught up. A session with processes enough for its part of the seats needs none of this:
the policy deals it its seats. It knows no cell and no policy; the foreground is pace.py's.
"""

from collections.abc import Iterable
from typing import Protocol

from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.seating import Seating
from llmsh.kernel.stream import Stream

SLACK = 16.0
"""Tokens that a session may be ahead before it has to give way."""


class Owner(Protocol):
    """The core."""

    queue: RunQueue
    leased: dict[int, Stream]
    seating: Seating

    def halt(self, stream: Stream) -> None:
        """Take a lease back."""

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve."""


def _usual(stream: Stream) -> bool:
    """Neither in the foreground nor overdue, which have their own rules."""
    return not (stream.task.foreground or stream.task.boost)


class Deference:
    """Of one core."""

    def __init__(self, core: Owner) -> None:
        self._core = core

    def thin(self) -> None:
        """Those who have to wait for somebody that runs end their leases now."""
        if self._matters():
            self._halt(self._running())

    def make_way(self, stream: Stream) -> None:
        """There is no seat for the stream: those who have to wait for its session end their leases now. Not who
        deserves a seat more by what was granted, on other cores, too: it would be given the same one again."""
        if self._matters() and _usual(stream) and self._few(stream.task.group):
            self._halt([stream.task.group], self._core.rank(stream))

    def holds(self, stream: Stream) -> bool:
        """Whether the stream has to wait for somebody that runs."""
        return self._matters() and self._waits(stream, self._running())

    def _matters(self) -> bool:
        queue = self._core.queue
        return 1 < len(queue.sessions) < self._core.seating.seats and queue.policy.sessions

    def _few(self, session: str) -> bool:
        """Whether it has fewer processes here than its part of the seats."""
        queue = self._core.queue
        return queue.sessions[session] * len(queue.sessions) < self._core.seating.seats

    def _running(self) -> list[str]:
        """The sessions with few processes of which one has a lease."""
        leased = {each.task.group for each in self._core.leased.values() if _usual(each) and each in self._core.queue}
        return [session for session in leased if self._few(session)]

    def _waits(self, stream: Stream, sessions: Iterable[str]) -> bool:
        """Whether its session is too far ahead of one of these."""
        lead = self._core.queue.policy.lead
        return _usual(stream) and any(lead(stream.task, other) > SLACK for other in sessions)

    def _halt(self, sessions: Iterable[str], above: tuple[float, ...] = ()) -> None:
        core = self._core
        for each in list(core.leased.values()):
            if each in core.queue and self._waits(each, sessions) and core.rank(each) > above:
                core.halt(each)
