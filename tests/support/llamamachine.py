"""The machine of the kernel's tests with real time and a real engine: llama.cpp on the tiny model.

It can be driven as Machine is: `go`, `clock.run_until`, `device.crash`. Time passes in the loop's
select. What is called on the loop and raises is raised again where the test waits.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmsh.abi.errors import Error
from llmsh.boot.clock import LoopClock
from llmsh.drivers.llama import LlamaDevice
from llmsh.kernel.party import STARTING
from llmsh.kernel.settings import Settings
from llmsh.kernel.tuning import Shelf

from .machine import Machine

SEQUENCES = 4
"""Fewer than the jobs of a play: they take turns."""
PATIENCE_S = 120.0
TURN_S = 0.002
"""How often a condition is looked at."""


class DrivenClock(LoopClock):
    """A loop's clock that a test lets run for a while."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.loop = loop
        self._fault: BaseException | None = None
        loop.set_exception_handler(self._failed)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._fault = self._fault or context.get("exception") or AssertionError(context["message"])

    def advance(self, seconds: float) -> None:
        """Let the loop run for so long."""
        self.loop.call_later(max(seconds, 0), self.loop.stop)
        self.loop.run_forever()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def run_until(self, done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        """Let it run until `done()`."""
        until = self.now() + min(seconds, PATIENCE_S)
        while not done():
            assert self.now() < until, f"not done after {seconds} s"
            self.advance(TURN_S)

    def step(self, until: float = 0.0) -> bool:
        """One turn."""
        self.advance(0)
        return True


class Driven(LlamaDevice):
    """A device that tests can hurt."""

    incarnation = 0
    ready: Callable[[], bool]
    """Whether the kernel has heard of the engine that runs."""

    def start(self, sink: Any) -> None:
        self.incarnation += 1
        super().start(sink)

    @property
    def alive(self) -> bool:
        return self.pid != 0

    @property
    def engine(self) -> "Driven | None":
        """Itself while it serves; there are no books to look into."""
        return self if self.pid and self.ready() else None

    def check(self) -> list[str]:
        return []

    def crash(self, reason: str = "killed by signal 9", keep: int | None = None) -> None:
        """The engine is killed; what of its words arrives is up to the machine."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL if reason.endswith(" 9") else signal.SIGABRT)

    def hang(self) -> None:
        """It does nothing more until it is killed."""
        if self.pid:
            os.kill(self.pid, signal.SIGSTOP)


class LlamaMachine(Machine):
    """Close it: the engine is another process."""

    def __init__(
        self,
        model: Path,
        *,
        cells: int = 2048,
        cores: int = 2,
        sequences: int = SEQUENCES,
        settings: Settings | None = None,
        shelf: Shelf | None = None,
        swap: str = "",
        clock: Callable[[asyncio.AbstractEventLoop], Any] = DrivenClock,
        kind: type[Driven] = Driven,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self._swap = swap
        self._model, self._cells, self._kind = model, cells, kind
        self._cores, self._sequences = cores, sequences
        self.said: list[str] = []
        super().__init__(settings=settings, clock=clock(self.loop), shelf=shelf)

    def make_device(self, model: str) -> Any:
        if not model.startswith("fake"):
            raise Error("ENODEV", f"{model}: no such model")
        made: Any = self._kind(
            model,
            str(self._model),
            cells=self._cells,
            cores=self._cores,
            threads=1,
            threads_batch=1,
            sequences=self._sequences,
            log=self.said.append,
            swap=self._swap,
            loop=self.loop,
        )
        made.ready = lambda: self.kernel.hosts[model].ready
        self.devices[model] = made
        return made

    def recover(self) -> None:
        """Let it run until no engine is being started."""
        hosts = self.kernel.hosts.values()
        self.clock.run_until(lambda: not any(host.state == STARTING for host in hosts))

    def hear(self, steps: int) -> None:
        """Let it run for so many decodes, or until none is to come."""
        self.recover()
        for host in self.kernel.hosts.values():
            until = host.steps + steps
            self.clock.run_until(lambda host=host, until=until: host.steps >= until or not host.busy)  # type: ignore[misc]  # a loop's own

    def close(self) -> None:
        """End every engine and the loop."""
        for host in self.kernel.hosts.values():
            host.close()
        devices = list(self.devices.values())
        for device in devices:
            device.kill()
        self.clock.run_until(lambda: not any(device.pid for device in devices))
        self.loop.close()
