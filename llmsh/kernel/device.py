"""What the kernel asks of a device (an engine on its threads or GPU). Drivers implement it.

It knows messages only; what a device is made of is the driver's.
"""

from collections.abc import Callable
from typing import Protocol

from llmsh.abi.lease import FromEngine, Reply, Request, ToEngine


class Sink(Protocol):
    """Where a device delivers, always on the kernel's thread."""

    def received(self, incarnation: int, message: FromEngine) -> None:
        """One whole message of that incarnation, in order; the first is Ready or Failed."""

    def died(self, incarnation: int, reason: str) -> None:
        """That incarnation is gone, and every whole message of it has been delivered."""


class Device(Protocol):
    """One model on one engine. Incarnations count from 1; each `start` is the next."""

    name: str
    kind: str
    pid: int
    """OS pid of the engine, 0 when it has none."""
    size: int
    """Bytes that an engine takes before it has any cells."""

    def start(self, sink: Sink) -> None:
        """Begin the next incarnation; returns at once, Ready or Failed follows."""

    def post(self, message: ToEngine) -> None:
        """Queue a message on the data channel; never blocks; dropped when the engine is dead."""

    def request(self, message: Request, reply: Callable[[Reply], None]) -> None:
        """Ask on the control channel; the device chooses the id. `reply` is always called, also
        when the engine dies (error set)."""

    def abort(self, core: int, step: int) -> None:
        """Abort that step if it is under way; its tokens are undone and made again without q's
        that were dropped."""

    def kill(self) -> None:
        """End the engine at once (it hangs); `died` follows."""

    def close(self, keep: bool = False) -> None:
        """End the engine in order; `died` follows, or nothing when the loop ends first. `keep`: the next incarnation
        has the same swap file, with what is in it."""
