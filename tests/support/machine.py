"""A whole kernel on a clock that stands still: real parts everywhere, a fake device below.

A Client speaks to it as a connection does, frame by frame, and keeps what it hears.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from llmsh.abi.errors import Error
from llmsh.abi.program import Program
from llmsh.abi.unit import Option, Unit
from llmsh.abi.wire import encode
from llmsh.drivers.fake import FakeDevice
from llmsh.drivers.fakeclock import FakeClock
from llmsh.drivers.fakecore import Options
from llmsh.drivers.faketext import Writer
from llmsh.kernel.console import Console
from llmsh.kernel.kernel import Kernel
from llmsh.kernel.ledger import Committed, Ledger
from llmsh.kernel.settings import Settings
from llmsh.kernel.tuning import Shelf
from llmsh.programs.table import PROGRAMS

UNITS = {
    "ask": Unit(name="ask", kind="prompt", description="asks", sampling={"ignore_eos": True}),
    "say": Unit(name="say", kind="prompt", description="says"),
    "each": Unit(name="each", kind="filter", description="a line in, a line out"),
    "talk": Unit(name="talk", kind="chat", description="talks"),
    "sort": Unit(name="sort", kind="classify", description="sorts", labels=("good", "bad", "so and so")),
    "sorts": Unit(
        name="sorts",
        kind="classify",
        description="sorts lines",
        labels=("good", "bad"),
        options={"lines": Option(help="each line", type="bool", default=False)},
    ),
}


class Memory:
    """Journal and logs in memory; `full` refuses what comes."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.logged: dict[int, list[int]] = {}
        self.ends: list[dict[str, Any]] = []
        self.texts: dict[int, bytearray] = {}
        self.full = False
        self._later: Callable[[Callable[[], None]], object] = lambda call: call()

    def delay(self, clock: FakeClock, seconds: float) -> None:
        """From now on a record is on disk only after a while."""
        self._later = lambda call: clock.call_later(seconds, call)

    def started(self, record: dict[str, Any], committed: Committed) -> None:
        error = Error("ENOSPC") if self.full else None
        if not self.full:
            self.records.append(record)
        self._later(lambda: committed(error))

    def tokens(self, pid: int, at: int, tokens: Sequence[int]) -> None:
        log = self.logged.setdefault(pid, [])
        assert at <= len(log), f"{pid}: tokens at {at}, {len(log)} are journaled"
        log[at:] = tokens

    def ended(self, record: dict[str, Any]) -> None:
        assert all(end["pid"] != record["pid"] for end in self.ends[-50:]), f"{record['pid']} ended twice"
        self.ends.append(record)

    def barrier(self, committed: Committed) -> None:
        error = Error("ENOSPC") if self.full else None
        self._later(lambda: committed(error))

    def forget(self) -> None:
        self.ends = []

    def finished(self, pid: int) -> None:
        """Here no log ever goes by itself."""

    def purge(self, spared: Collection[int]) -> int:
        count = sum(len(text) for pid, text in self.texts.items() if pid not in spared)
        self.texts = {pid: text for pid, text in self.texts.items() if pid in spared}
        return count

    def append(self, pid: int, data: bytes) -> None:
        self.texts.setdefault(pid, bytearray()).extend(data)

    def read(self, pid: int, offset: int, most: int) -> tuple[int, bytes]:
        if pid not in self.texts:
            raise Error("ENOENT")
        data = bytes(self.texts[pid])
        start = offset if offset >= 0 else max(0, len(data) + offset)
        return start + len(data[start : start + most]), data[start : start + most]


class Peer:
    """An OS process that exists in name only."""

    def __init__(self, pid: int = 100, sid: int = 100, tty: str = "") -> None:
        self.pid, self.sid, self.tty, self.uid = pid, sid, tty, 1000
        self.fg = False
        self.held = False
        self.continued = 0

    def foreground(self) -> bool:
        return self.fg

    def stopped(self) -> bool:
        return self.held

    def cont(self) -> None:
        self.held = False
        self.continued += 1


class Client:
    """A connection: calls go in as frames, answers and events are kept. Reads all output at once
    unless `reading` is off; answers `want` from `supply`."""

    def __init__(self, machine: "Machine", peer: Peer | None = None) -> None:
        self.machine = machine
        self.peer = peer or Peer()
        self.writable = True
        self.reading = True
        self.closed = ""
        self.replies: dict[int, tuple[dict[str, Any], bytes]] = {}
        self.events: list[dict[str, Any]] = []
        self.out: dict[int, bytearray] = {}
        self.err: dict[int, bytearray] = {}
        self.supply: dict[int, bytearray] = {}
        self.ends: dict[int, dict[str, Any]] = {}
        self.wanted: dict[int, int] = {}
        self.owed: dict[tuple[int, int], int] = {}
        """Bytes by (pid, fd) that were not read yet: `reading` was off."""
        self._id = 0
        machine.kernel.connect(self)
        self.call("hello", major=1)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        encode(head, body)  # raises for what fits no frame
        if "id" in head:
            self.replies[head["id"]] = (head, body)
            return
        self.events.append(head)
        if head["ev"] == "exit":
            assert head["pid"] not in self.ends
            self.ends[head["pid"]] = head
        elif head["ev"] == "out":
            assert head["pid"] not in self.ends
            kept = self.out if head["fd"] == 1 else self.err
            kept.setdefault(head["pid"], bytearray()).extend(body)
            key = (head["pid"], head["fd"])
            self.owed[key] = self.owed.get(key, 0) + len(body)
            if self.reading:
                self.machine.clock.call_later(0, lambda: self.read(*key))
        elif head["ev"] == "want":
            self.wanted[head["pid"]] = head["n"]
            if head["pid"] in self.supply:
                self.machine.clock.call_later(0, lambda: self._give(head["pid"], head["n"]))

    def read(self, pid: int, fd: int = 1, most: int = 1 << 30) -> None:
        """Take bytes that are here, and say so."""
        count = min(most, self.owed.get((pid, fd), 0))
        if count and not self.closed:
            self.owed[pid, fd] -= count
            self.post("ack", pid=pid, fd=fd, n=count)

    def give(self, pid: int, data: bytes) -> None:
        """All that the process's input will ever have; it gets it as it wants it."""
        self.supply[pid] = bytearray(data)
        if pid in self.wanted:
            self._give(pid, self.wanted[pid])

    def _give(self, pid: int, most: int) -> None:
        if self.wanted.pop(pid, None) is None or self.closed:
            return
        data = bytes(self.supply[pid][:most])
        del self.supply[pid][:most]
        self.post("write", data, pid=pid, fd=0, eof=not self.supply[pid])

    def close(self, reason: str = "gone") -> None:
        """The connection ends, by whichever side."""
        if not self.closed:
            self.closed = reason
            self.machine.kernel.disconnect(self)

    def post(self, name: str, body: bytes = b"", **args: Any) -> int:
        """Send a call; returns its id."""
        self._id += 1
        self.machine.kernel.trap(self, {"id": self._id, "call": name, "args": args}, body)
        return self._id

    def answer(self, ident: int) -> dict[str, Any]:
        """The result of a call that has been answered. Raises Error."""
        head, _ = self.replies[ident]
        if "err" in head:
            raise Error(head["err"], head["msg"])
        result: dict[str, Any] = head["ok"]
        return result

    def call(self, name: str, body: bytes = b"", **args: Any) -> dict[str, Any]:
        """A call that is answered at once."""
        return self.answer(self.post(name, body, **args))

    def run(self, agent: str = "ask", text: str = "hi", **args: Any) -> int:
        """Start an agent; its pid."""
        given = {"agent": agent, "args": [text] if text else [], "model": "fake", **args}
        pid: int = self.call("run", **given)["pid"]
        return pid

    def exited(self, pid: int) -> dict[str, Any] | None:
        """The exit event of a process, if it came."""
        return self.ends.get(pid)

    def row(self, pid: int) -> dict[str, Any]:
        """The process's row of ps."""
        rows: list[dict[str, Any]] = self.call("ps", pids=[pid])["rows"]
        return rows[0]


class Machine:
    """Kernel, clock and one fake device, which is ready."""

    def __init__(
        self,
        options: Options | None = None,
        writer: Writer | None = None,
        settings: Settings | None = None,
        programs: dict[str, Program] | None = None,
        clock: Any = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.clock: FakeClock = clock or FakeClock()
        self.memory = Memory()
        self.options = options or Options()
        self.writer = writer
        self.devices: dict[str, FakeDevice] = {}
        self.console = Console(self.clock)
        self.kernel = Kernel(
            clock=self.clock,
            settings=settings or Settings(strict=True),
            ledger=Ledger(self.memory, self.memory),
            programs=programs or PROGRAMS,
            make_device=self.make_device,
            units=self.unit,
            console=self.console,
            shelf=shelf,
        )

    def make_device(self, model: str) -> FakeDevice:
        if not model.startswith("fake"):
            raise Error("ENODEV", f"{model}: no such model")
        self.devices[model] = FakeDevice(model, self.clock, self.options, self.writer)
        return self.devices[model]

    @property
    def device(self) -> FakeDevice:
        return self.devices["fake"]

    def listen(self, listener: Callable[[Any], object]) -> None:
        """Hear all that the device says before the kernel does."""
        say = self.device._say

        def heard(message: Any) -> None:
            listener(message)
            say(message)

        self.device._say = heard  # type: ignore[method-assign]  # the test listens

    def unit(self, name: str) -> Unit:
        if name not in UNITS:
            raise Error("ENOENT", f"{name}: no such agent")
        return UNITS[name]

    def client(self, **peer: Any) -> Client:
        return Client(self, Peer(**peer))

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def lines(self) -> list[str]:
        """What dmesg shows."""
        return [row["line"] for row in self.console.rows()]

    def sound(self) -> None:
        """The books of kernel and device are right."""
        faults = self.kernel.check()
        for device in self.devices.values():
            if device.engine is not None:
                faults += device.engine.check()
        assert not faults, faults
