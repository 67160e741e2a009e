"""An engine of our own to measure without a daemon, by the kernel's own way to it: driver, channel, event loop.

It says how long each thing took from the message to its answer, and knows no row.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

from bench.place import CELLS, SEQUENCES
from bench.row import Skipped
from llmsh.abi import lease
from llmsh.drivers.llama import LlamaDevice

T = TypeVar("T")


class Engine:
    """A running engine with one core; a context manager. `swap` is the folder of its swap file."""

    def __init__(self, model: str, threads: int, swap: str = "") -> None:
        self._loop = asyncio.new_event_loop()
        self._heard: asyncio.Queue[lease.FromEngine | str] = asyncio.Queue()
        self._lines: list[str] = []
        self._last = 0
        self._device = LlamaDevice(
            "bench",
            model,
            cells=CELLS,
            cores=1,
            threads=threads,
            threads_batch=threads,
            sequences=SEQUENCES,
            log=self._lines.append,
            swap=swap,
            loop=self._loop,
        )

    def __enter__(self) -> Self:
        self._device.start(self)
        self.facts = self._until(lease.Ready, lambda _: True)
        return self

    def __exit__(self, *_: object) -> None:
        self._device.close()
        self._loop.run_until_complete(self._died())
        self._loop.close()

    async def _died(self) -> None:
        while not isinstance(await self._heard.get(), str):
            pass

    @property
    def pid(self) -> int:
        """The engine's process."""
        return self._device.pid

    # See kernel.device.Sink.

    def received(self, incarnation: int, message: lease.FromEngine) -> None:
        """It said something."""
        self._heard.put_nowait(message)

    def died(self, incarnation: int, reason: str) -> None:
        """It is gone."""
        self._heard.put_nowait(reason)

    def _until(self, kind: type[T], wanted: Callable[[T], bool]) -> T:
        async def found() -> T:
            while True:
                message: Any = await self._heard.get()
                if isinstance(message, str | lease.Failed):
                    raise Skipped(f"the engine ended: {message}; {' '.join(self._lines[-1:])}")
                if isinstance(message, kind) and wanted(message):
                    return message

        return self._loop.run_until_complete(found())

    # What is measured. All times are milliseconds.

    def operation(self, message: Callable[[int], lease.ToEngine]) -> tuple[float, lease.Done]:
        """From the message, which is given the operation's number, to its DONE."""
        self._last += 1
        op, began = self._last, time.perf_counter()
        self._device.post(message(op))
        done = self._until(lease.Done, lambda each: each.op == op)
        ms = (time.perf_counter() - began) * 1000
        if done.error:
            raise Skipped(f"the engine: {done.error}; {' '.join(self._lines[-1:])}")
        return ms, done

    def compute(self, q: int, tokens: list[int]) -> float:
        """A new sequence: all of these but the last into its cells."""
        began = time.perf_counter()
        for message in (lease.Open(q, 0), lease.Feed(q, 0, tokens), lease.Lease(q, 0, len(tokens))):
            self._device.post(message)
        self._until(lease.Halted, lambda each: each.q == q)
        return (time.perf_counter() - began) * 1000
