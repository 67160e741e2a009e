"""What a host is to the machine that it shares with others: its turns, its size, its way out of memory.

It knows the host's cores; who is next, and who must go, others say (dealing.py, models.py).
"""

from collections.abc import Callable

from llmsh.abi.lease import EXACT, Ready
from llmsh.kernel.audit import faults
from llmsh.kernel.clock import Clock
from llmsh.kernel.core import Core
from llmsh.kernel.dealing import Dealing, Turn
from llmsh.kernel.device import Device
from llmsh.kernel.hibernation import Hibernation
from llmsh.kernel.models import Models
from llmsh.kernel.operations import Operations
from llmsh.kernel.requests import Requests
from llmsh.kernel.sched import Ledger, Task
from llmsh.kernel.stream import Stream
from llmsh.kernel.swap import Swap
from llmsh.kernel.tuning import Tuning

STARTING, READY, DEAD, OUT = "starting", "ready", "dead", "out"
"""States of a host. OUT: its engine was closed to make room, and it comes back when somebody wants it."""

LOG_LEAST = 32
"""Tokens that a log had and has not, from which it counts as being computed again."""


class Party:
    """What a host and its engine's life cycle (lifecycle.py) build on."""

    cores: dict[int, Core]
    facts: Ready
    members: set[Stream]
    streams: dict[int, Stream]
    ledger: Ledger
    plan: Callable[[], None]
    start: Callable[[], None]
    swap: Swap
    tuning: Tuning
    hibernation: Hibernation
    _ops: Operations
    _requests: Requests

    def __init__(self, device: Device, clock: Clock, dealing: Dealing, memory: Models) -> None:
        self.device = device
        self.clock = clock
        self.name = device.name
        self.state = DEAD
        self.size = device.size
        """Bytes that its engine takes, as far as is known."""
        self.last_used = clock.now()
        self.since = 0.0
        """When its engine was last ready, and had caught up."""
        self.loaded_at = 0.0
        self.failure = ""
        self.asked = 0
        """Calls that wait for it to be loaded."""
        self.leaving = False
        """Its engine is to be closed to make room for others."""
        self.keeps = False
        """Its engine was closed to come back, with the file that its images are in: not if it dies of itself."""
        self.closing = False
        self.turn = Turn()
        self.dealing = dealing
        self.memory = memory

    @property
    def ready(self) -> bool:
        """Whether the engine can take messages."""
        return self.state == READY

    def now(self) -> float:
        """See Port."""
        return self.clock.now()

    @property
    def shares(self) -> bool:
        """See Port."""
        return self.facts.share

    def resident(self, stream: Stream) -> bool:
        """Whether it has cells."""
        return stream.core in self.cores and stream in self.cores[stream.core].cells

    @property
    def held(self) -> int:
        """Cells that processes have, or give up just now: all that are used but those kept for who may come."""
        return sum(core.cells.used - core.sharing.cached for core in self.cores.values())

    def check(self) -> list[str]:
        """Faults in the books of all cores."""
        return [f"{self.name}: {fault}" for fault in faults(self.cores)]

    @property
    def takes(self) -> bool:
        """See models.Resident."""
        return self.state in (STARTING, READY)

    @property
    def wants(self) -> bool:
        """Whether something can run."""
        return self.ready and not self.leaving and any(len(core.queue) for core in self.cores.values())

    @property
    def works(self) -> bool:
        """Whether the engine owes steps."""
        return any(core.working for core in self.cores.values())

    @property
    def busy(self) -> bool:
        """Whether the engine owes us anything."""
        return self._due or self._requests.asking > 0 or self.swap.moving

    @property
    def _due(self) -> bool:
        """Whether a step or the end of an operation is to come; a disk may take as long as a request."""
        owes = len(self._ops) > self.swap.moving or self.tuning.measuring
        return owes or any(core.leased for core in self.cores.values())

    @property
    def needed(self) -> bool:
        """See models.Resident."""
        return bool(self.members) or self.asked > 0

    @property
    def in_use(self) -> bool:
        """See models.Resident."""
        return self.wants or self.works or self._requests.asking > 0

    @property
    def recomputes(self) -> bool:
        """See models.Resident."""
        streams = (stream for core in self.cores.values() for stream in core.queue.streams.values())
        return any(stream.reached - stream.computed > LOG_LEAST for stream in streams)

    @property
    def emptied(self) -> bool:
        """See models.Resident."""
        leaves = self.ready and self.leaving and not self.works and not self._requests.asking
        return leaves and self.hibernation.done

    @property
    def capacity(self) -> int:
        """Cells of its engine, if there is one, with those of EXACT while they are there."""
        return self.facts.cells * self.facts.cores + self.exact if self.ready else 0

    @property
    def saved(self) -> int:
        """Cells' worth of images outside the caches, of processes and of what is kept for who comes."""
        kept = sum(keeper.image for core in self.cores.values() for keeper in core.sharing.keepers)
        return sum(stream.image for stream in self.members) + kept

    @property
    def exact(self) -> int:
        """Cells of the core EXACT. The engine makes it for its first sequence and gives it up with the last, so they
        are none of the machine's before and after."""
        core = self.cores.get(EXACT)
        if core is None or not (core.cells.used or any(each.exact for each in self.streams.values())):
            return 0
        return core.cells.capacity

    @property
    def bytes(self) -> int:
        """See models.Resident."""
        return self.size + self.exact * self.facts.cell_bytes

    @property
    def calm(self) -> bool:
        """See Port."""
        return not self.works

    @property
    def tasks(self) -> list[Task]:
        """See dealing.Party. None while no engine of it could run them."""
        cores = self.cores.values() if self.ready and not self.leaving else ()
        return [stream.task for core in cores for stream in core.queue.streams.values()]

    @property
    def front(self) -> int:
        """See dealing.Party."""
        tasks = [stream.task for core in self.cores.values() for stream in core.queue.front.values()]
        return 2 if any(task.boost > 0 for task in tasks) else int(bool(tasks))

    @property
    def step_s(self) -> float:
        """See dealing.Party."""
        return max((core.pace.ahead_ms for core in self.cores.values()), default=0.0) / 1000

    def pause(self) -> None:
        """Take all leases back."""
        for core in self.cores.values():
            for stream in list(core.leased.values()):
                core.halt(stream)

    def measured(self) -> None:
        """The engine has said how large its cells are: all that it may come to make count."""
        facts, self.asked = self.facts, 0
        self.size = self.device.size + facts.cells * facts.cell_bytes * facts.cores
        self.memory.loaded(self)
        self.dealing.look()

    def refuse(self, reason: str) -> None:
        """See models.Resident: `died` follows."""
        self.failure = reason
        self.device.close()

    def leave_memory(self) -> None:
        """See models.Resident."""
        self.leaving = True
        self.pause()
        self.hibernation.begin()

    def put_out(self) -> None:
        """See models.Resident: `died` follows."""
        self.keeps = True
        self.device.close(keep=True)

    def ended(self) -> None:
        """A step, a lease or the engine has ended."""
        self.dealing.look()
        if self.leaving and self.ready:
            self.hibernation.go()
        if self.leaving or not self.takes:
            self.memory.look()
