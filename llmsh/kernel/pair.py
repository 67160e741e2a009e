"""Two cores on one thread: the first, and the one of exact sequences. The engine makes a step of each in turn
where both have leases; here is decided when one of them has to do without.

Who was typed to comes before everybody on the thread; beside a foreground, exact steps are made only if both fit
its target; and time goes by what those who can run deserve (deserts.py). Nobody waits for a core that makes no
steps. It knows no cell and no policy.
"""

from collections.abc import Mapping
from typing import Protocol

from llmsh.abi.lease import EXACT
from llmsh.kernel.configuration import PLANNED
from llmsh.kernel.deserts import desert
from llmsh.kernel.pace import Pace
from llmsh.kernel.port import Port
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.stream import Stream

CHUNK = 256
"""Tokens of input in a step of an exact sequence, at most."""
SLACK_S = 0.02
"""How far one may be ahead of the other."""
WEIGH_S = 0.1
"""How long what they deserve is taken to be the same."""


class Core(Protocol):
    """What this asks of a core."""

    queue: RunQueue
    leased: dict[int, Stream]
    pace: Pace
    port: Port

    @property
    def working(self) -> bool:
        """Whether it owes a step."""

    def halt(self, stream: Stream) -> None:
        """Take a lease back."""


def _typed(core: Core) -> bool:
    return any(stream.task.boost for stream in core.queue.front.values())


class Pair:
    """Of one device's cores; `first` is the one beside EXACT."""

    def __init__(self, cores: Mapping[int, Core], first: int = 0) -> None:
        self._cores = cores
        self._two = (first, EXACT)
        self._clocks = dict.fromkeys(self._two, 0.0)
        """Seconds of the thread that each had since both want it, divided by what it deserves."""
        self._weights = dict.fromkeys(self._two, 1.0)
        self._weighed = 0.0
        self.waits: int | None = None
        """Which of them has to do without leases."""

    def concerns(self, core: int) -> bool:
        """Whether it is one of two that both have something to do."""
        return core in self._two and len(self._cores) > 1 and all(self._cores[each].queue for each in self._two)

    def stepped(self, core: int, ms: float, now: float) -> None:
        """A step of the core was made."""
        if not self.concerns(core):
            self._clocks = dict.fromkeys(self._two, 0.0)
            return
        if now - self._weighed >= WEIGH_S:
            self._weighed = now
            self._weights = {each: self._desert(each) for each in self._two}
        self._clocks[core] += ms / 1000 / self._weights[core]

    def _desert(self, core: int) -> float:
        tasks = {index: [each.task for each in held.queue.streams.values()] for index, held in self._cores.items()}
        mine = tasks.pop(core)
        return desert(mine, tasks.values())[0]

    def holds(self, core: int) -> bool:
        """Whether the core is to grant nothing now. Those of the other who run though they have to wait, halt."""
        if core not in self._two:
            return False
        self.waits = self._waiting() if self.concerns(core) else None
        if self.waits is None:
            return False
        waiting = self._cores[self.waits]
        for stream in list(waiting.leased.values()):
            if not stream.task.boost:
                waiting.halt(stream)
        return core == self.waits and not len(waiting.queue.urgent)

    def _waiting(self) -> int | None:
        first, exact = (self._cores[each] for each in self._two)
        if _typed(first) != _typed(exact):
            waits = self._two[_typed(first)]
        elif first.queue.front and not exact.queue.front and not self._fits(first, exact):
            waits = EXACT
        else:
            waits = max(self._two, key=lambda each: self._clocks[each])
            if self._clocks[waits] - min(self._clocks.values()) <= SLACK_S / self._weights[waits]:
                return None
        other = first if waits == EXACT else exact
        return waits if other.working else None

    def _fits(self, first: Core, exact: Core) -> bool:
        """Whether a step of each can be made between two tokens of the foreground."""
        if not first.pace.latency:
            return True
        ms = exact.pace.steps.ms(1) or first.pace.steps.ms(1)
        cost = first.port.input_cost
        left = max((len(each) - 1 - each.computed for each in exact.queue.streams.values()), default=0)
        return first.pace.ahead_ms + ms * max(1.0, cost * min(CHUNK, left)) <= PLANNED * first.pace.latency
