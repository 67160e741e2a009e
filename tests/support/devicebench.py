"""A fake device on a bench: a clock that stands still, and a kernel that only writes down what it is told.

It knows no kernel of ours; messages go in as a test posts them.
"""

from typing import TypeVar

from llmsh.abi import lease
from llmsh.drivers.fake import FakeDevice
from llmsh.drivers.fakeclock import FakeClock
from llmsh.drivers.fakecore import Options
from llmsh.drivers.faketext import Writer

T = TypeVar("T")
DEFAULT = Options()
GREEDY = lease.Sampling()
PROMPT = list(b"<user>hello\n<assistant>")


class Recorder:
    """A kernel that writes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, lease.FromEngine]] = []
        self.deaths: list[tuple[int, str]] = []

    def received(self, incarnation: int, message: lease.FromEngine) -> None:
        self.seen.append((incarnation, message))

    def died(self, incarnation: int, reason: str) -> None:
        self.deaths.append((incarnation, reason))

    def of(self, kind: type[T]) -> list[T]:
        return [message for _, message in self.seen if isinstance(message, kind)]


class Bench:
    """A device, its clock and its recorder."""

    def __init__(self, made: Options = DEFAULT, writer: Writer | None = None, strict: bool = True) -> None:
        self.clock = FakeClock()
        self.kernel = Recorder()
        self.device = FakeDevice("fake", self.clock, made, writer, strict)
        self.device.start(self.kernel)
        self.clock.advance(made.start / 1000)

    def post(self, *messages: lease.ToEngine) -> "Bench":
        for message in messages:
            self.device.post(message)
        return self

    def idle(self) -> "Bench":
        self.clock.run_until_idle()
        assert self.device.check() == []
        return self

    def begin(self, q: int = 1, sampling: lease.Sampling = GREEDY, prompt: list[int] = PROMPT) -> "Bench":
        return self.post(lease.Open(q, 0), lease.Feed(q, 0, prompt), lease.Answer(q, len(prompt), sampling))

    def text(self, q: int = 1) -> bytes:
        return b"".join(row[3] for step in self.kernel.of(lease.Step) for row in step.rows if row[0] == q)

    def ask(self, message: lease.Request) -> lease.Reply:
        replies: list[lease.Reply] = []
        self.device.request(message, replies.append)
        assert replies == []
        self.clock.run_until(lambda: bool(replies))
        return replies[0]
