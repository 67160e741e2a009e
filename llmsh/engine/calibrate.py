"""Measures how long a core's steps take: made-up sequences in slots and cells that nobody holds.

Each decode begins and ends with empty slots, so that it may be the last at any time: when there is
real work, on whichever core, the measurement ends with what it has. It knows what to measure from the
kernel only, and not what for.
"""

import time

from llmsh.abi import lease
from llmsh.abi.errors import Error
from llmsh.engine.cache import Cache, Residents
from llmsh.engine.channel import Channel
from llmsh.engine.filling import SLOTS, empty, fill
from llmsh.engine.image import Image

TAKES_MAX = 64
"""Decodes of one measurement at most."""
KEPT_MS = 3000
"""How long a core that was made to be measured is kept for the next measurement."""
ABORTED = 2
"""llama_decode's result when it was told to stop."""


class Job:
    """One measurement under way. `home` is set while a decode of it is."""

    def __init__(self, order: lease.Measure) -> None:
        self.order = order
        self.until = time.perf_counter() + order.ms / 1000
        self.took: list[float] = []
        self.ran = self.passed = 0.0
        """Seconds of CPU time of the whole engine during its decodes, and seconds of these."""
        self.home: Residents | None = None
        self.slots: list[int] = []
        self.filled = False
        """Whether the cache has more in it than it should, just now."""
        self.seed: Image | None = None
        """One cell, that the cache can be filled with."""
        self.no = self.rc = 0
        self.ms = 0.0

    @property
    def over(self) -> bool:
        """Whether it has run for as long as it may."""
        return bool(self.took) and (time.perf_counter() >= self.until or len(self.took) >= TAKES_MAX)

    @property
    def full(self) -> bool:
        """Whether the next decode is one with a full cache."""
        return self.order.fill > 0 and len(self.took) // lease.TURN % 2 > 0


class Calibrator:
    """The measurements of all cores, one a core at most."""

    def __init__(self, cache: Cache, channel: Channel, vocabulary: int) -> None:
        self._cache = cache
        self._channel = channel
        self._vocabulary = vocabulary
        self._jobs: dict[int, Job] = {}
        self._made: set[int] = set()
        """Cores that were made to be measured."""

    def patience(self, core: int) -> int | None:
        """Milliseconds that a core's thread waits until it calls `tidy`; None for ever."""
        return KEPT_MS if core in self._made else None

    def tidy(self, core: int) -> None:
        """Nothing was measured for a while: a core that was made for it and that nobody came to goes again."""
        self._made.discard(core)
        self._cache.give_back(core)

    def take(self, order: lease.Measure) -> None:
        """A MEASURE has come."""
        job, old = Job(order), self._jobs.pop(order.core, None)
        if old is not None:
            _empty(old)
            self._done(old, "another began")
        if order.core != lease.EXACT and self._cache.exists(order.core):
            self._jobs[order.core] = job
        else:
            self._done(job, f"no core {order.core}")

    def begin(self, core: int, *, wanted: bool) -> Job | None:
        """The next decode of a core's measurement, its batch filled. `wanted`: there is real work."""
        job = self._jobs.get(core)
        if job is None:
            return None
        error = "gave way" if wanted and not job.took else "" if wanted or job.over else self._fill(job)
        if wanted or job.over or error:
            del self._jobs[core]
            _empty(job)
            self._done(job, error)
            return None
        return job

    def _fill(self, job: Job) -> str:
        """Its batch; empty, or what is wrong."""
        order = job.order
        try:
            if order.core not in self._cache.cores:
                self._cache.made(order.core)
                self._made.add(order.core)
            home = self._cache.cores[order.core]
        except Error as exc:
            return exc.detail
        slots = [slot for slot in home.scratch + home.free if not (order.fill and slot in home.scratch[-SLOTS:])]
        slots, size = slots[: order.batch], order.batch * order.tokens
        if min(order.batch, order.tokens, order.threads) < 1 or size > home.core.batch.capacity:
            return f"no batch of {order.batch} times {order.tokens} tokens"
        more = order.fill + home.layout.highest - home.layout.used if order.fill else 0
        if len(slots) < order.batch or size + more > home.layout.free:
            return f"no room for {order.batch} times {order.tokens} tokens and {more} cells"
        if not job.full:
            _empty(job)
        elif not job.filled:
            job.filled = True
            fill(home, job.seed, more)
        home.core.batch.clear()
        for i, slot in enumerate(slots):
            tokens = [(7 + 31 * i + 17 * j) % self._vocabulary for j in range(order.tokens)]
            home.core.batch.add(tokens, 0, slot, "last")
        job.home, job.slots = home, slots
        return ""

    def clear(self, core: int) -> None:
        """Messages are about to be obeyed: who comes into the cells finds them as the layout says."""
        job = self._jobs.get(core)
        if job is not None:
            _empty(job)

    def decode(self, job: Job) -> None:
        """Do it; other cores do not wait for this."""
        assert job.home is not None  # begin filled it
        threads, ran, began = job.order.threads, time.process_time(), time.perf_counter()
        job.no, job.rc, job.ms = job.home.core.decode((threads, threads))
        job.ran += time.process_time() - ran
        job.passed += time.perf_counter() - began

    def end(self, job: Job) -> None:
        """Empty the slots, and say how long it took."""
        home = job.home
        assert home is not None  # begin filled it
        if job.order.fill and job.seed is None and not job.rc:
            job.seed = home.core.save(job.slots[0])
        for slot in job.slots:
            home.core.remove(slot, 0)
        layout, ms = home.layout, round(job.ms, 3)
        facts = (layout.used, job.order.threads, job.order.cores, layout.highest)
        self._channel.send(lease.Step(home.core.index, job.no, ms, [], [], *facts))
        if job.rc == 0:
            job.took.append(job.ms)
            return
        del self._jobs[job.order.core]
        _empty(job)
        self._done(job, "aborted" if job.rc == ABORTED else f"llama_decode returned {job.rc}")

    def _done(self, job: Job, error: str) -> None:
        took = [round(ms, 3) for ms in job.took]
        wanted = job.passed * job.order.threads * job.order.cores
        share = min(1.0, round(job.ran / wanted, 3)) if wanted else 1.0
        self._channel.send(lease.Done(job.order.op, 0, 0, error, took, share))


def _empty(job: Job) -> None:
    """The cache as it was."""
    if job.filled and job.home is not None:
        job.filled = False
        empty(job.home)
