"""The llama device: the kernel's side of an engine process (python -m llmsh.engine), on asyncio.

It knows nothing of leases and processes: it starts, feeds, listens, aborts, buries. One engine lives
at a time; each `start` is the next incarnation.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from llmsh.abi.lease import FromEngine, Reply, Request, ToEngine
from llmsh.drivers.incarnation import Incarnation
from llmsh.kernel.device import Sink


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
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.name = name
        self.pid = 0
        self._options = ["--model", path, "--cells", str(cells), "--cores", str(cores), "--threads", str(threads)]
        self._options += ["--threads-batch", str(threads_batch), "--sequences", str(sequences)]
        self._log = log
        self._loop = loop
        self._life: Incarnation | None = None
        self._count = 0

    def start(self, sink: Sink) -> None:
        """Spawn the next incarnation; READY or FAILED follows, or only died."""
        assert self._life is None, "the engine runs already"  # a bug of the kernel
        self._count += 1
        number = self._count
        loop = self._loop or asyncio.get_running_loop()
        try:
            self._life = Incarnation(
                loop, self._options, partial(_received, sink, number), partial(self._died, sink, number), self._log
            )
            self.pid = self._life.pid
        except OSError as exc:
            loop.call_soon(sink.died, number, f"cannot be started: {exc.strerror}")

    def _died(self, sink: Sink, number: int, reason: str) -> None:
        self._life, self.pid = None, 0
        sink.died(number, reason)

    def post(self, message: ToEngine) -> None:
        """Queue a message; dropped when the engine is dead."""
        if self._life is not None:
            self._life.post(message)

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

    def close(self) -> None:
        """End the engine in order; `died` follows."""
        if self._life is not None:
            self._life.close()


def _received(sink: Sink, number: int, message: FromEngine) -> None:
    sink.received(number, message)
