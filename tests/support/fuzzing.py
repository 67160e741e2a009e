"""Throws frames at a whole kernel and looks after each batch whether anything is broken or left over.

What is guided by coverage: of a sample of inputs the lines that they reach are noted, and an input
that reaches a new pair of them joins the corpus. It knows no call; frames.py makes the inputs.
"""

import hashlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.abi.wire import Decoder, encode
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings

from .frames import Mutator
from .machine import Machine, Peer

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
WATCHED = (
    "abi/wire",
    "abi/jsontext",
    "kernel/trap",
    "kernel/args",
    "kernel/params",
    "kernel/exec",
    "kernel/sys_",
    "kernel/signals",
)
"""Files whose lines count as coverage: the way in."""
KEPT_MAX = 4096
"""Bytes of an input that may join the corpus: long ones are slow and say little more."""
BATCH = 40
"""Inputs of one machine."""


class Conn:
    """A connection of bytes, cut at any place, as the server has one."""

    def __init__(self, machine: Machine, pid: int) -> None:
        self.machine = machine
        self.peer = Peer(pid, 100 + pid % 2, "pts/1" if pid % 3 else "")
        self.peer.fg = bool(pid % 5)
        self.writable = True
        self.open = True
        self._decoder = Decoder()
        machine.kernel.connect(self)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """What the kernel says must fit a frame."""
        encode(head, body)
        ident = head.get("id", 0)
        if ident:
            assert ("ok" in head) != ("err" in head), head

    def close(self, reason: str) -> None:
        if self.open:
            self.open = False
            self.machine.kernel.disconnect(self)

    def feed(self, data: bytes) -> int:
        """Bytes of the client; how many frames were heard or refused."""
        count = 0
        try:
            for head, body in self._decoder.feed(data):
                if not self.open:
                    break
                count += 1
                self.machine.kernel.trap(self, head, body)
        except Error as error:
            count += 1
            self.close(error.detail)
        return count


class Coverage:
    """Pairs of lines that followed each other in the watched files."""

    def __init__(self) -> None:
        self.edges: set[tuple[int, int, int]] = set()
        self._fresh = 0
        self._last: dict[int, int] = {}

    def new(self) -> int:
        """How many pairs were seen for the first time since the last call."""
        fresh, self._fresh = self._fresh, 0
        return fresh

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, arg: object) -> Any:
        name = frame.f_code.co_filename
        return self._line if any(part in name for part in WATCHED) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        key = id(frame.f_code)
        edge = (key, self._last.get(key, 0), frame.f_lineno)
        self._last[key] = frame.f_lineno
        if edge not in self.edges:
            self.edges.add(edge)
            self._fresh += 1
        return self._line


class Fuzzer:
    """Runs batches of inputs, each batch against a new kernel."""

    def __init__(self, rng: random.Random, corpus: Sequence[bytes], traced: float = 0.04) -> None:
        self.rng = rng
        self.mutator = Mutator(rng, corpus)
        self.coverage = Coverage()
        self.frames = 0
        self.found: list[bytes] = []
        """Inputs that reached something new."""
        self._traced = traced

    def batch(self) -> None:
        """Inputs against one machine; then nothing may be broken or left over."""
        machine = Machine(Options(cells=700, context=500, sequences=8, answer=8), settings=Settings(strict=True))
        if self.rng.random() < 0.5:
            machine.memory.delay(machine.clock, 0.002)
        conns = [self._greeted(machine, n) for n in range(3)]
        guided = self.rng.random() < self._traced
        for _ in range(BATCH):
            place = self.rng.randrange(3)
            if not conns[place].open:
                conns[place] = self._greeted(machine, self.rng.randrange(1, 99))
            pids = [process.pid for process in machine.kernel.table][-6:]
            data = self.mutator.input(pids)
            if guided:
                with self.coverage:
                    self._feed(machine, conns[place], data)
                if self.coverage.new() and len(data) < KEPT_MAX:
                    self.found.append(data)
                    self.mutator.corpus.append(data)
            else:
                self._feed(machine, conns[place], data)
        self._after(machine, conns)

    def _greeted(self, machine: Machine, pid: int) -> Conn:
        conn = Conn(machine, pid)
        if self.rng.random() < 0.97:
            machine.kernel.trap(conn, {"id": 1, "call": "hello", "args": {"major": 1}}, b"")
        return conn

    def _feed(self, machine: Machine, conn: Conn, data: bytes) -> None:
        cut = self.rng.randrange(len(data) + 1)
        self.frames += conn.feed(data[:cut])
        if conn.open:
            self.frames += conn.feed(data[cut:])
        if self.rng.random() < 0.1:
            conn.writable = not conn.writable
            machine.kernel.drained(conn)
        machine.go(self.rng.choice((0, 0.001, 0.01)))
        if self.rng.random() < 0.01 and "fake" in machine.devices and machine.device.engine is not None:
            machine.device.crash("killed by signal 9")

    def _after(self, machine: Machine, conns: list[Conn]) -> None:
        machine.sound()
        for conn in conns:
            conn.close("done")
        client = machine.client(pid=12345, sid=12345)
        machine.go(1)
        for process in machine.kernel.table:
            client.post("kill", pid=process.pid, sig=sig.KILL)
        machine.go(30)
        machine.sound()
        counts = client.call("check")
        assert counts["faults"] == []
        assert (counts["processes"], counts["pipes"], counts["cells"]) == (0, 0, 0), counts
        client.close()
        kernel = machine.kernel
        assert not kernel.callers, kernel.callers
        assert not kernel._interpreters, kernel._interpreters
        assert not any(host.busy or host.members or host.streams for host in kernel.hosts.values())


def corpus() -> list[bytes]:
    """The kept inputs, in an order that does not depend on the disk."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))]


def keep(found: list[bytes]) -> None:
    """Write inputs that reached something new beside the others."""
    for data in found:
        (CORPUS / f"found-{hashlib.sha256(data).hexdigest()[:12]}.bin").write_bytes(data)
