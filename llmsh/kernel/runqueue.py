"""A core's run queue: who can run, in the order that the policy gives, the urgent ones before all others.

It grants nothing and knows no cell.
"""

import heapq
from collections import Counter
from collections.abc import Collection

from llmsh.kernel.sched import POLICIES, Ledger, Policy, Task
from llmsh.kernel.sched.policy import FOREGROUND
from llmsh.kernel.sched.urgent import Urgent
from llmsh.kernel.stream import Stream
from llmsh.kernel.weights import Weights


class RunQueue:
    """Runnable streams by identity, and two orders over their tasks."""

    def __init__(self, policy: str, ledger: Ledger) -> None:
        self.streams: dict[int, Stream] = {}
        self.sessions: Counter[str] = Counter()
        """How many of the streams are whose."""
        self.weights = Weights()
        """The same, by what they weigh."""
        self.ledger = ledger
        """What the sessions had of the device."""
        self.policy: Policy = POLICIES[policy](ledger)
        self.urgent = Urgent()
        """Those who come before everybody: a boosted foreground, and who has waited too long."""
        self.front: dict[int, Stream] = {}
        """Those of the streams that are in the foreground."""
        self.goals: dict[int, Stream] = {}
        """Those of them that have stated one."""
        self._parked: dict[int, tuple[Policy, Task]] = {}
        """Those that a plan has left out so far, and of which order."""
        self._held: dict[int, tuple[Policy, Task]] = {}
        """Those that all plans leave out until `release`."""
        self._waits: list[tuple[float, int]] = []
        """A heap of moments and identities: who had no token since then, or since later."""
        self._watched: set[int] = set()
        """Who is in it, once."""
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
        self._enter(stream)
        if task.era != self._era:
            self._anew(task)
        self.of(task).add(task)

    def join(self, stream: Stream, lag: float) -> None:
        """It comes, runnable, from another core's queue, where it was so far ahead."""
        task = stream.task
        self._enter(stream)
        task.era = self._era
        if task.boost:
            self.urgent.add(task)
        else:
            self.policy.join(task, lag)

    def remove(self, stream: Stream) -> bool:
        """It is not runnable any more; whether it was."""
        if self.streams.pop(stream.ident, None) is None:
            return False
        self.weights.drop(stream.task)
        session = stream.task.group
        self.sessions[session] -= 1
        if not self.sessions[session]:
            del self.sessions[session]
        self.front.pop(stream.ident, None)
        self.goals.pop(stream.ident, None)
        self._take(stream.task)
        return True

    def requeue(self, stream: Stream) -> None:
        """Its boost, its weight or its goal changed."""
        if stream in self:
            self._note(stream)
            self._take(stream.task)
            if not stream.task.boost:
                stream.task.urgent = 0
            self.of(stream.task).add(stream.task)

    def _take(self, task: Task) -> None:
        """Out of both orders; one that was left out has a place to be taken from first."""
        parked = self._parked.pop(task.ident, None) or self._held.pop(task.ident, None)
        if parked is not None:
            parked[0].unpark(task)
        self.urgent.remove(task)
        self.policy.remove(task)

    def park(self, order: Policy, task: Task, session: bool) -> None:
        """Leave the task, or all of its session, out of what `order` picks until `unpark`."""
        order.park(task, session=session)
        self._parked[task.ident] = (order, task)

    def hold(self, order: Policy, task: Task) -> None:
        """Leave the task out of what `order` picks until `release`, or until anything about it changes: however many
        wait for one, a plan looks at them once."""
        order.hold(task)
        self._held[task.ident] = (order, task)

    def release(self, stream: Stream) -> None:
        """It is to be looked at again."""
        held = self._held.pop(stream.ident, None)
        if held is not None:
            held[0].unpark(held[1])

    def free(self) -> None:
        """All are to be looked at again."""
        self._parked |= self._held
        self._held = {}
        self.unpark()

    @property
    def held(self) -> Collection[int]:
        """Who is left out until `release`, by identity."""
        return self._held

    def unpark(self) -> None:
        """Whoever was left out by one plan and is still here is back in its place."""
        parked, self._parked = self._parked, {}
        for order, task in parked.values():
            order.unpark(task)

    def switch(self, policy: str, ledger: Ledger) -> None:
        """Another policy from now on; accounts start anew, also of those that do not run now."""
        self.free()
        self.ledger = ledger
        self.policy = POLICIES[policy](ledger)
        self._era += 1
        for stream in self.streams.values():
            self._anew(stream.task)
            if not stream.task.boost:
                self.policy.add(stream.task)

    def _anew(self, task: Task) -> None:
        task.vtime = task.served = task.had = 0.0
        task.level = task.sunk = 0
        task.era = self._era

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve; no two are equal."""
        order = self.of(stream.task)
        first = (float(order is not self.urgent), float(not stream.task.foreground))
        return (*first, *order.rank(stream.task), float(stream.ident))

    def charge(self, stream: Stream, cost: float, new: float | None = None) -> None:
        """Service worth so many tokens was granted, or (negative) given back. `new`: it is input, and so much of it
        was not work done again."""
        task = stream.task
        if task.goal is not None and new is None:
            task.goal.left -= cost
        elif task.goal is not None:
            task.goal.input = max(0.0, task.goal.input - (new or 0.0))
        if cost:
            (self.policy.charge if new is None else self.policy.fed)(task, cost)
            self.urgent.charge(task, cost)

    def used(self, stream: Stream, cost: float) -> None:
        """Service worth so many tokens was had."""
        self.ledger.use(stream.task.group, cost / (FOREGROUND if stream.task.foreground else 1.0))

    def spend(self, stream: Stream) -> None:
        """A boosted stream made a token; at the last one it goes back among the others."""
        if stream.task.boost > 0:
            stream.task.boost -= 1
            if not stream.task.boost:
                self.requeue(stream)

    def served(self, stream: Stream) -> None:
        """It has what it wanted. Who came first for having waited too long is among the others when it comes again."""
        if stream.task.boost and not stream.task.foreground:
            stream.task.boost = 0
            self.requeue(stream)

    def overdue(self, before: float, quantum: int) -> None:
        """Who has had no token since `before`, and has no lease, comes first, once, for one token: so a round of
        all who are overdue is as short as it can be. One whose cells lie in an image gets a quantum for the way.

        Whoever is here is looked at when that time has passed since it was last known to have had one: so
        often, and no more often, however many there are."""
        waits = self._waits
        again: list[tuple[float, int]] = []
        found: list[Stream] = []
        while waits and waits[0][0] < before:
            _, ident = heapq.heappop(waits)
            stream = self.streams.get(ident)
            if stream is None:
                self._watched.discard(ident)
                continue
            task = stream.task
            if task.since < before and not task.boost and not stream.leased:
                found.append(stream)
            again.append((max(task.since, before), ident))
        for each in again:
            heapq.heappush(waits, each)
        for stream in sorted(found, key=lambda each: each.task.since):
            stream.task.boost = quantum if stream.image and not self.front else 1
            self.policy.starved(stream.task)
            self.requeue(stream)

    def _enter(self, stream: Stream) -> None:
        self.streams[stream.ident] = stream
        self.sessions[stream.task.group] += 1
        if stream.task.goal is not None:
            self.goals[stream.ident] = stream
        self._note(stream)

    def _note(self, stream: Stream) -> None:
        """It is here, in the foreground or not."""
        self.weights.put(stream.task)
        if stream.task.foreground:
            self.front[stream.ident] = stream
        else:
            self.front.pop(stream.ident, None)
        if stream.ident not in self._watched:
            self._watched.add(stream.ident)
            heapq.heappush(self._waits, (stream.task.since, stream.ident))
