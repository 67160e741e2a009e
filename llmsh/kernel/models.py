"""Which models are loaded: several under one limit of bytes, loaded on demand, the least recently used out.

A model that is wanted and has no room takes that of one on which nothing can run. If all have something to do, it
waits: who is there keeps its place for a turn of seconds, so that requests for a model are gathered and two do not
load for each other's every request; and nobody waits much longer than a bound. It knows hosts and their sizes,
no process and no engine.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from llmsh.abi.errors import Error
from llmsh.kernel.clock import Clock, Timer

LOOK_S = 0.1
"""How often it is looked whether there is room, while somebody waits for it."""
QUIET_S = 0.3
"""How long nothing must have run on a model before it counts as having nothing to do: between two lines of its input
a process waits for a moment, too."""
LEAST_S = 1.0
"""Whoever waits and however long: a model that was loaded runs for so long."""
AGAIN = 2
"""How many times as long as otherwise others may wait for a model that must compute again what it had lost: a bound
on that, too, however much it is."""
EARLY = 0.8
"""Of the time that anybody waits at most: the rest is for unloading and loading."""


class Resident(Protocol):
    """A model, loaded or not: its host."""

    name: str
    size: int
    """Bytes that it takes when it is loaded, as far as is known."""
    last_used: float
    """When anything last ran on it."""
    since: float
    """When it was last loaded and had computed again what it had lost: where its turn begins."""
    loaded_at: float
    leaving: bool

    @property
    def bytes(self) -> int:
        """What it takes just now: `size`, and the cells of deterministic processes while there are such."""

    @property
    def takes(self) -> bool:
        """Whether it is loaded, or on its way in or out."""

    @property
    def ready(self) -> bool:
        """Whether it is loaded."""

    @property
    def needed(self) -> bool:
        """Whether anybody is left who may have wanted it."""

    @property
    def in_use(self) -> bool:
        """Whether something can run on it, or is asked of it."""

    @property
    def closing(self) -> bool:
        """Whether it is given up for good."""

    @property
    def recomputes(self) -> bool:
        """Whether those who can run have not yet again what they had lost; what they never had does not count."""

    @property
    def emptied(self) -> bool:
        """Whether it is leaving, and its engine owes nothing any more."""

    def start(self) -> None:
        """Load it."""

    def leave_memory(self) -> None:
        """Take back its leases; it will be emptied soon."""

    def refuse(self, reason: str) -> None:
        """It cannot be had: its engine ends, and who waits for it hears why."""

    def put_out(self) -> None:
        """Unload it; it is emptied."""


class Models:
    """Of one machine. `limit`: bytes, 0 for none. `turn_s`: how long a model that was loaded keeps its place while
    something can run on it; `wait_s`: how long another waits for that at most."""

    def __init__(
        self,
        clock: Clock,
        hosts: Callable[[], Collection[Resident]],
        say: Callable[[str], None],
        *,
        limit: int = 0,
        turn_s: float = 10.0,
        wait_s: float = 30.0,
    ) -> None:
        self.limit = limit
        self.loads = 0
        """Engines started because somebody wanted the model."""
        self._clock = clock
        self._hosts = hosts
        self._say = say
        self._turn_s = turn_s
        self._wait_s = wait_s
        self._wanted: dict[Resident, float] = {}
        """Who waits to be loaded, and since when; the first is the next."""
        self._closing: list[Resident] = []
        """Given up, and not gone yet."""
        self._sizes: dict[str, int] = {}
        """As they were when last loaded."""
        self._timer: Timer | None = None
        self._looking = False

    @property
    def used(self) -> int:
        """Bytes of all that are loaded, or on their way in or out."""
        return sum(each.bytes for each in self._all() if each.takes)

    def waits(self, host: Resident) -> bool:
        """Whether it waits to be loaded."""
        return host in self._wanted

    def admit(self, host: Resident) -> None:
        """Raises Error ENOMEM for a model that would not fit if it were alone."""
        host.size = max(host.size, self._sizes.get(host.name, 0))
        if self.exceeds(host):
            raise Error("ENOMEM", f"{host.name}: {self._excess(host)}")

    def exceeds(self, host: Resident) -> bool:
        """Whether it is too large for all there is."""
        return 0 < self.limit < host.size

    def _excess(self, host: Resident) -> str:
        return f"needs {host.size} bytes, all models together may have {self.limit}"

    def want(self, host: Resident) -> None:
        """Somebody wants it loaded."""
        if host.closing or (host.takes and not host.leaving):
            return
        if host not in self._wanted:
            self._wanted[host] = self._clock.now()
        self.look()

    def loaded(self, host: Resident) -> None:
        """It is there, and its size is known. Who has nothing to do makes room if it is larger than was known;
        if it is too large for all there is, it goes."""
        self._sizes[host.name] = host.size
        if self.exceeds(host):
            host.refuse(self._excess(host))
        elif 0 < self.limit < self.used:
            self._shrink(host)

    def _shrink(self, host: Resident) -> None:
        """It is larger than was known: who has nothing to do makes room, or else it goes, and waits for its turn."""
        missing = self.used - self.limit - self._going()
        idle = self._idle(host)
        self._evict(missing, idle if sum(each.bytes for each in idle) >= missing else [host])
        self._watch()

    def grown(self, host: Resident) -> None:
        """It has come to take more, for a while: who has nothing to do makes room. It is not put out for that."""
        missing = self.used - self.limit - self._going()
        if self.limit and missing > 0:
            self._evict(missing, self._idle(host))
            self._watch()

    def _going(self) -> int:
        """Bytes of those that are on their way out."""
        return sum(each.bytes for each in self._all() if each.leaving or each.closing)

    def gave_up(self, host: Resident) -> None:
        """It is being closed for good."""
        self._wanted.pop(host, None)
        if host.takes:
            self._closing.append(host)

    def look(self) -> None:
        """Something may have changed: is anybody out, is there room for who waits?"""
        if self._looking:
            return
        self._looking = True
        try:
            self._closing = [each for each in self._closing if each.takes]
            for host in self._hosts():
                if host.emptied:
                    host.put_out()
            self._serve()
        finally:
            self._looking = False
        self._watch()

    def _watch(self) -> None:
        """Somebody waits, or is on the way out with nobody to say when it is empty."""
        if self._timer is None and (self._wanted or any(each.leaving for each in self._hosts())):
            self._timer = self._clock.call_later(LOOK_S, self._again)

    def check(self) -> list[str]:
        """Faults: who waits though it is there, and who would wait for ever."""
        there = [each for each in self._wanted if each.takes and not each.leaving]
        faults = [f"{each.name}: waits and is {'ready' if each.ready else 'starting'}" for each in there]
        if self._wanted and self._timer is None:
            faults.append(f"{len(self._wanted)} models wait, and nobody looks whether there is room")
        return faults

    def _again(self) -> None:
        self._timer = None
        # Not in `look`: who wants it may be told so before it is counted among those who do.
        self._wanted = {host: since for host, since in self._wanted.items() if host.needed}
        self.look()

    def _serve(self) -> None:
        """In the order in which they were wanted."""
        self._put_off()
        for host in list(self._wanted):
            if host.closing or (host.takes and not host.leaving):
                del self._wanted[host]
            elif host.takes or not self._room(host):
                return
            else:
                del self._wanted[host]
                self.loads += 1
                host.start()

    def _put_off(self) -> None:
        """A turn begins when what was lost is computed again, or turns shorter than that would be spent on it alone,
        for ever. So late that who waits has its model in AGAIN times the bound, it begins all the same."""
        now = self._clock.now()
        latest = AGAIN * EARLY * self._wait_s - LEAST_S
        for host in self._present():
            if host.since > now - LOOK_S * 2 and now - host.loaded_at < latest and host.recomputes:
                host.since = now

    def _room(self, host: Resident) -> bool:
        """Whether it may be loaded now; if not, others leave for it as soon as they may."""
        missing = self.used + host.size - self.limit
        if not self.limit or missing <= 0:
            return True
        going = self._going()
        if missing > going:
            self._evict(missing - going, [*self._idle(host), *self._due(host)])
        return False

    def _evict(self, missing: int, victims: list[Resident]) -> None:
        if sum(each.bytes for each in victims) < missing:
            return
        for victim in victims:
            if missing <= 0:
                return
            missing -= victim.bytes
            self._say(f"{victim.name}: leaves memory, others need it")
            victim.leave_memory()

    def _idle(self, host: Resident) -> list[Resident]:
        """Who has nothing to do, the least recently used first."""
        now = self._clock.now()
        return [each for each in self._present(host) if not each.in_use and now - each.last_used >= QUIET_S]

    def _due(self, host: Resident) -> list[Resident]:
        """Who has something to do, and has had its turn; or `host` has waited for long enough."""
        now = self._clock.now()
        late = now - self._wanted.get(host, now) >= EARLY * self._wait_s
        busy = [each for each in self._present(host) if each.in_use or now - each.last_used < QUIET_S]
        return [each for each in busy if now - each.since >= (LEAST_S if late else self._turn_s)]

    def _present(self, host: "Resident | None" = None) -> list[Resident]:
        """Those but `host` that are loaded, the least recently used first."""
        there = [each for each in self._hosts() if each.ready and not (each.leaving or each.closing or each is host)]
        return sorted(there, key=lambda each: each.last_used)

    def _all(self) -> Iterator[Resident]:
        yield from self._hosts()
        yield from self._closing
