"""The machine of the kernel's tests with a real engine whose steps are the time: llama.cpp on the tiny model.

The kernel's clock goes on by what the engine says that it made, so what is bounded in seconds is bounded in tokens, and
a machine that is busy with other things changes nothing. Where nothing is owed, time goes on to the next timer at once.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from llmsh.abi.lease import FromEngine, Reply, Request, Step
from llmsh.drivers.fakeclock import FakeClock
from llmsh.kernel.device import Sink
from llmsh.kernel.party import STARTING
from llmsh.kernel.settings import Settings

from .llamamachine import PATIENCE_S, SEQUENCES, Driven, LlamaMachine

STEP_S, INPUT_S = 0.005, 0.0002
"""How long a step is on the kernel's clock, and each token of input in it: as on the fake device."""
TURN_S = 0.05
"""How long it is waited at once for what the engine owes."""


class StepClock(FakeClock):
    """Stands still but for steps. What is due now comes before what the engine says next."""

    owes: Callable[[], bool]
    """Whether the engine is to say something."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._fault: BaseException | None = None
        self._heard = False
        loop.set_exception_handler(self._failed)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._fault = self._fault or context.get("exception") or AssertionError(context["message"])

    def settle(self) -> None:
        """See FakeClock."""
        while super().step(self._now):
            pass

    def passed(self, seconds: float) -> None:
        """So much time has gone by, with what was due in it."""
        until = self._now + seconds
        while super().step(until):
            pass
        self._now = until

    def hear(self, call: Callable[[], object]) -> None:
        """The engine says something: that is one event, and what is due after it comes before the next."""
        self.settle()
        call()
        self.settle()
        self._heard = True
        self._loop.stop()

    def _turn(self, seconds: float) -> bool:
        """Let the loop run until something is heard, at most so long."""
        self._heard = False
        end = self._loop.call_later(seconds, self._loop.stop)
        self._loop.run_forever()
        end.cancel()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        return self._heard

    def step(self, until: float = float("inf")) -> bool:
        """See FakeClock: a call that is due, or else what the engine says next."""
        if super().step(self._now):
            return True
        began = time.monotonic()
        while self.owes():
            if self._now >= until:
                return False
            if self._turn(TURN_S):
                return True
            assert time.monotonic() - began < PATIENCE_S, "the engine owes something and is silent"
        return self._turn(0.0) or super().step(until)

    def advance(self, seconds: float) -> None:
        """See FakeClock; the step that is under way then may end later."""
        until = self._now + seconds
        while self.step(until):
            pass
        self._now = max(self._now, until)

    def run_until(self, done: Callable[[], object], seconds: float = 3600.0) -> None:
        """See FakeClock; what only the machine knows of, such as the end of an engine, is waited for."""
        until, began = self._now + seconds, time.monotonic()
        while not done():
            if not self.step(until):
                self._turn(TURN_S)
                assert self._now < until, f"not done after {seconds} s"
                assert time.monotonic() - began < PATIENCE_S, "nothing more comes"


class Heard:
    """Between an engine and its host: time goes on with each step, then the host hears of it."""

    def __init__(self, machine: "SteppedMachine", sink: Sink) -> None:
        self._machine = machine
        self._sink = sink

    def received(self, incarnation: int, message: FromEngine) -> None:
        """See Sink."""
        self._machine.clock.hear(partial(self._pass, incarnation, message))

    def _pass(self, incarnation: int, message: FromEngine) -> None:
        if isinstance(message, Step):
            self._machine.clock.passed(self._machine.lasts(message))
        self._machine.told(message)
        self._sink.received(incarnation, message)

    def died(self, incarnation: int, reason: str) -> None:
        """See Sink."""
        self._machine.clock.hear(partial(self._sink.died, incarnation, reason))


class SteppedDevice(Driven):
    """A device that says to its machine what it hears."""

    busy = True
    """What an engine of llama.cpp does just now cannot be seen."""
    machine: "SteppedMachine"

    def start(self, sink: Any) -> None:
        super().start(Heard(self.machine, sink))

    def request(self, message: Request, reply: Callable[[Reply], None]) -> None:
        super().request(message, lambda got: self.machine.clock.hear(partial(reply, got)))


class SteppedMachine(LlamaMachine):
    """Close it. `step_s`: how long a step is."""

    clock: Any

    def __init__(
        self,
        model: Path,
        *,
        cells: int = 2048,
        cores: int = 1,
        sequences: int = SEQUENCES,
        settings: Settings | None = None,
        step_s: float = STEP_S,
    ) -> None:
        self.step_s = step_s
        self.listeners: list[Callable[[FromEngine], object]] = []
        made: dict[str, Any] = {"cells": cells, "cores": cores, "sequences": sequences, "settings": settings}
        super().__init__(model, clock=StepClock, kind=SteppedDevice, **made)
        self.clock.owes = self._owes

    def make_device(self, model: str) -> Any:
        made = super().make_device(model)
        made.machine = self
        return made

    def _owes(self) -> bool:
        return any(host.busy or host.state == STARTING for host in self.kernel.hosts.values())

    def lasts(self, step: Step) -> float:
        """Seconds of a step; cores that work at the same time share them."""
        return self.step_s / max(1, step.busy) + INPUT_S * sum(count for _, count in step.fed)

    def told(self, message: FromEngine) -> None:
        """The engine has said this."""
        for listener in self.listeners:
            listener(message)

    def listen(self, listener: Callable[[Any], object]) -> None:
        """Hear all that the engine says before the kernel does."""
        self.listeners.append(listener)
