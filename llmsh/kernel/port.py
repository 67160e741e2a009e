"""What a core asks of its device's host: the channel to the engine, seen from one core."""

from collections.abc import Callable
from typing import Any, Protocol

from llmsh.abi.lease import ToEngine
from llmsh.kernel.holder import Holder
from llmsh.kernel.sched import Ledger
from llmsh.kernel.stream import Stream

Ended = Callable[[Any, int, str, list[float]], None]
"""Called with (holder, operation, error, scores) when the engine has done an operation."""


class Images(Protocol):
    """What a core tells and asks of swap (swap.py)."""

    def gone(self, holder: Holder) -> None:
        """It has no image any more."""

    def ready(self, stream: Stream, core: int, images: list[Holder]) -> bool:
        """Whether these, that the stream lacks, can be loaded now; if not, they are on their way, or will be."""

    def withdraw(self, stream: Stream) -> None:
        """It waits for no images any more."""

    def keeps(self, holder: Holder) -> bool:
        """Whether an image of it is worth more than computing its own tokens again."""

    def reads(self, holder: Holder) -> bool:
        """Whether its image, if that is in the file, is worth being brought back."""

    def forked(self, parent: Holder, child: Holder) -> None:
        """The child is to have the image of its parent, which stays in memory until `unpin`."""

    def unpin(self, holder: Holder) -> None:
        """It has been."""

    def fetch(self, holder: Holder) -> None:
        """Bring its image back from the file, if that is where it is."""

    def in_memory(self, holder: Holder) -> bool:
        """Whether it has an image that can be loaded or forked at once."""


class Port(Protocol):
    """The way to the engine."""

    token_bytes: int
    """Bytes of the model's longest token."""
    latency_ms: float
    """The longest time between two tokens of the foreground, as wanted; 0 for no matter."""
    dropped: int
    """Records that came too late to be appended."""
    moves: int
    """Streams that have gone from one core to another; what migration.py has done so far."""
    ledger: Ledger
    """What each session was granted of the device."""
    input_cost: float
    """What a prefilled token costs, in generated ones, as measured."""

    @property
    def shares(self) -> bool:
        """Whether sequences of this model can share cells."""

    @property
    def ready(self) -> bool:
        """Whether the engine can take messages."""

    def now(self) -> float:
        """Monotonic seconds."""

    def input_ms(self, tokens: int) -> float:
        """Milliseconds of computing so many tokens by the table of rates, 0 when it does not say."""

    def post(self, message: ToEngine) -> None:
        """Queue a message to the engine."""

    @property
    def swap(self) -> Images:
        """The images of this device."""

    def operation(self, holder: Holder, ended: Ended) -> int:
        """A new operation's number; `ended` is called at its DONE, unless the engine dies."""

    def enter(self, holder: Holder) -> None:
        """Give it a sequence number of this incarnation."""

    def forget(self, holder: Holder) -> None:
        """Its sequence is being dropped."""

    def interrupt(self) -> None:
        """Somebody comes or is halted: a long step that is in the way ends now."""

    def changed(self) -> None:
        """A stream of this core became runnable, or stopped being so."""

    @property
    def calm(self) -> bool:
        """Whether no core has a lease or a score under way."""

    def yields(self, core: int) -> bool:
        """Whether another core tries a suspect: this one grants nothing meanwhile."""

    def panic(self, line: str) -> None:
        """A bug of ours: said loudly, raised in tests."""
