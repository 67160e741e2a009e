"""A core's run queue: who can run, in the order that the policy gives, the urgent ones before all others.

It grants nothing and knows no cell.
"""

from llmsh.kernel.sched import POLICIES, Policy, Task
from llmsh.kernel.sched.fcfs import Fcfs
from llmsh.kernel.stream import Stream


class RunQueue:
    """Runnable streams by identity, and two orders over their tasks."""

    def __init__(self, policy: str) -> None:
        self.streams: dict[int, Stream] = {}
        self.policy: Policy = POLICIES[policy]()
        self.urgent: Policy = Fcfs()
        """Those who come before everybody: a boosted foreground, and who has waited too long."""
        self._era = 0
        """Counts the policies that there were."""

    def __contains__(self, stream: Stream) -> bool:
        return stream.ident in self.streams

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def first(self) -> Policy:
        """The order that decides now."""
        return self.urgent if len(self.urgent) else self.policy

    def of(self, task: Task) -> Policy:
        """The order that a task belongs to."""
        return self.urgent if task.boost > 0 else self.policy

    def add(self, stream: Stream) -> None:
        """It became runnable."""
        task = stream.task
        self.streams[stream.ident] = stream
        if task.era != self._era:
            self._anew(task)
        self.of(task).add(task)

    def join(self, stream: Stream, lag: float) -> None:
        """It comes, runnable, from another core's queue, where it was so far ahead."""
        task = stream.task
        self.streams[stream.ident] = stream
        task.era = self._era
        if task.boost:
            self.urgent.add(task)
        else:
            self.policy.join(task, lag)

    def remove(self, stream: Stream) -> bool:
        """It is not runnable any more; whether it was."""
        if self.streams.pop(stream.ident, None) is None:
            return False
        self.urgent.remove(stream.task)
        self.policy.remove(stream.task)
        return True

    def requeue(self, stream: Stream) -> None:
        """Its boost or weight changed."""
        if stream in self:
            self.urgent.remove(stream.task)
            self.policy.remove(stream.task)
            self.of(stream.task).add(stream.task)

    def switch(self, policy: str) -> None:
        """Another policy from now on; accounts start anew, also of those that do not run now."""
        self.policy = POLICIES[policy]()
        self._era += 1
        for stream in self.streams.values():
            self._anew(stream.task)
            if not stream.task.boost:
                self.policy.add(stream.task)

    def _anew(self, task: Task) -> None:
        task.vtime = task.served = 0.0
        task.level, task.era = 0, self._era

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve; no two are equal."""
        order = self.of(stream.task)
        return (float(order is not self.urgent), *order.rank(stream.task), float(stream.ident))

    def charge(self, stream: Stream, cost: float) -> None:
        """Service worth so many tokens was granted, or (negative) given back."""
        if cost:
            self.policy.charge(stream.task, cost)

    def spend(self, stream: Stream) -> None:
        """A boosted stream made a token; at the last one it goes back among the others."""
        if stream.task.boost > 0:
            stream.task.boost -= 1
            if not stream.task.boost:
                self.requeue(stream)

    def overdue(self, before: float, boost: int) -> None:
        """Who has had no token since `before`, and has no lease, comes first, once, for `boost` tokens."""
        for stream in self.streams.values():
            if not stream.task.boost and not stream.leased and stream.task.since < before:
                stream.task.boost = boost
                self.policy.starved(stream.task)
                self.requeue(stream)
