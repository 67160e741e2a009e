"""The llama device: the kernel's side of an engine process (python -m llmsh.engine), on asyncio.

It knows nothing of leases and processes: it starts, feeds, listens, aborts, buries. One engine lives
at a time; each `start` is the next incarnation.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

from llmsh.abi.cpus import leaders
from llmsh.abi.lease import FromEngine, Reply, Request, Threads, ToEngine
from llmsh.drivers.household import Household
from llmsh.drivers.incarnation import Incarnation
from llmsh.kernel.device import Sink

ENGINE_BYTES = 64 << 20
"""Of an engine beside weights and cells: the process, and what a step computes with. Assumed."""


class LlamaDevice:
    """A model file on llama.cpp. `log` takes each line that the engine writes to its stderr."""

    kind = "llama"

    def __init__(
        self,
        name: str,
        path: str,
        *,
        cells: int,
        cores: int,
        threads: int,
        threads_batch: int,
        sequences: int,
        log: Callable[[str], None],
        cache_type: str = "auto",
        swap: str = "",
        household: Household | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.name = name
        self.pid = 0
        self.size = os.path.getsize(path) + ENGINE_BYTES if os.path.exists(path) else 0
        self._options = ["--model", path, "--cells", str(cells), "--cores", str(cores), "--threads", str(threads)]
        self._options += ["--threads-batch", str(threads_batch), "--sequences", str(sequences)]
        self._options += ["--cache-type", cache_type]
        self._log = log
        self._swap = swap
        """The folder of its swap file, which has no name there; empty: it has none."""
        self._household = household
        self._threads = threads
        self._loop = loop
        self._file = -1
        """The swap file of the engine that lives, or of the next."""
        self._keep = False
        self._life: Incarnation | None = None
        self._count = 0

    def start(self, sink: Sink) -> None:
        """Spawn the next incarnation; READY or FAILED follows, or only died."""
        assert self._life is None, "the engine runs already"  # a bug of the kernel
        self._count += 1
        number = self._count
        loop = self._loop or asyncio.get_running_loop()
        if self._file < 0:
            self._file = self._swap_file()
        self._keep = False
        try:
            received, died = partial(_received, sink, number), partial(self._died, sink, number)
            away = self._household.away if self._household is not None else nullcontext
            self._life = Incarnation(loop, self._options, received, died, self._log, self._file, away)
            self.pid = self._life.pid
            self._lead(1, self._threads)
        except OSError as exc:
            self._forget_file()
            loop.call_soon(sink.died, number, f"cannot be started: {exc.strerror}")

    def _swap_file(self) -> int:
        """A file for this engine's life, -1 for none: it goes with the last descriptor."""
        if not self._swap:
            return -1
        try:
            return os.open(self._swap, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            self._log(f"no swap file in {self._swap}: {exc.strerror}")
            return -1

    def _forget_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _died(self, sink: Sink, number: int, reason: str) -> None:
        self._life, self.pid = None, 0
        if not self._keep:
            self._forget_file()
        self._lead(0, 0)
        sink.died(number, reason)

    def post(self, message: ToEngine) -> None:
        """Queue a message; dropped when the engine is dead."""
        if self._life is not None:
            self._life.post(message)
            if isinstance(message, Threads):
                self._lead(message.cores, message.threads)

    def _lead(self, cores: int, threads: int) -> None:
        """So many cores with so many threads each are at work from now on."""
        if self._household is not None:
            self._household.lead(self.name, leaders(self._household.cpus, cores, threads))

    def request(self, message: Request, reply: Callable[[Reply], None]) -> None:
        """Ask on the control channel."""
        if self._life is not None:
            self._life.request(message, reply)
        else:
            loop = self._loop or asyncio.get_running_loop()
            loop.call_soon(reply, Reply(0, error="engine died"))

    def abort(self, core: int, step: int) -> None:
        """Abort that step if it is under way."""
        if self._life is not None:
            self._life.abort(core, step)

    def kill(self) -> None:
        """End the engine at once; `died` follows."""
        if self._life is not None:
            self._life.kill()

    def close(self, keep: bool = False) -> None:
        """End the engine in order; `died` follows. See Device for `keep`."""
        self._keep = keep
        if self._life is not None:
            self._life.close()
        else:
            self._forget_file()


def _received(sink: Sink, number: int, message: FromEngine) -> None:
    sink.received(number, message)
