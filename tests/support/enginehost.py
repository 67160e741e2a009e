"""An engine process and the kernel's end of its channels, spoken to step by step and without a loop.

It knows the messages of abi/lease.py and keeps what came back; it has no policy and no driver.
"""

import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from llmsh.abi import abort, lease
from llmsh.abi.unpacker import Unpacker

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 60
T = TypeVar("T")


class EngineHost:
    """Starts an engine and waits for its first message, `ready`."""

    def __init__(
        self,
        model: Path,
        *,
        cells: int = 2048,
        sequences: int = 32,
        threads: int = 1,
        cores: int = 1,
        env: Mapping[str, str] | None = None,
        swap_fd: int = -1,
    ) -> None:
        self._data, data = socket.socketpair()
        self._control, control = socket.socketpair()
        self._abort = os.memfd_create("abort")
        os.ftruncate(self._abort, abort.SIZE)
        self.page = mmap.mmap(self._abort, abort.SIZE)
        fds = {"data": data.fileno(), "control": control.fileno(), "abort": self._abort}
        if swap_fd >= 0:
            fds["swap"] = swap_fd
        options = {"cells": cells, "threads": threads, "threads-batch": threads, "sequences": sequences, "cores": cores}
        command = [sys.executable, "-m", "llmsh.engine", "--model", str(model)]
        command += [part for name, fd in fds.items() for part in (f"--{name}-fd", str(fd))]
        command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with data, control:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                pass_fds=tuple(fds.values()),
                stderr=subprocess.PIPE,
                env={**os.environ, **(env or {})},
            )
        for end in (self._data, self._control):
            end.settimeout(SECONDS)
        self._unpacker = Unpacker()
        self._replies = Unpacker()
        self._waiting: list[lease.FromEngine] = []
        self.seen: list[lease.FromEngine] = []
        self.halted: dict[int, int] = {}
        self._op = 0
        self.first = self.receive()

    @property
    def ready(self) -> lease.Ready:
        assert isinstance(self.first, lease.Ready), self.first
        return self.first

    # To the engine.

    def post(self, *messages: lease.ToEngine) -> None:
        """All in one write: the engine takes them between the same two steps."""
        self._data.sendall(b"".join(map(lease.pack, messages)))

    def op(self) -> int:
        self._op += 1
        return self._op

    def begin(self, q: int, prompt: list[int], sampling: lease.Sampling | None = None, exact: bool = False) -> None:
        """OPEN, FEED and ANSWER."""
        self.post(
            lease.Open(q, lease.EXACT if exact else 0, exact),
            lease.Feed(q, 0, prompt),
            lease.Answer(q, len(prompt), sampling or lease.Sampling()),
        )

    def grant(self, q: int, upto: int) -> None:
        self.post(lease.Lease(q, self.halted.get(q, 0), upto))

    # From the engine.

    def receive(self) -> lease.FromEngine:
        """The next message. Raises EOFError at the end of file."""
        while not self._waiting:
            data = self._data.recv(1 << 16)
            if not data:
                raise EOFError
            self._waiting += map(lease.from_engine.decode, self._unpacker.feed(data))
        message = self._waiting.pop(0)
        self.seen.append(message)
        if isinstance(message, lease.Halted):
            self.halted[message.q] = message.n
        return message

    def until(self, kind: type[T], wanted: Callable[[T], bool] = lambda _: True) -> T:
        """Receive up to the first message of a kind that is wanted."""
        while True:
            message = self.receive()
            if isinstance(message, kind) and wanted(message):
                return message

    def end(self, q: int) -> lease.Halted:
        """The end of q's lease."""
        return self.until(lease.Halted, lambda halted: halted.q == q)

    def run(self, q: int, upto: int) -> lease.Halted:
        """A lease and its end."""
        self.grant(q, upto)
        return self.end(q)

    def done(self, message: Callable[[int], lease.ToEngine]) -> lease.Done:
        """Post an operation and wait for its DONE."""
        op = self.op()
        self.post(message(op))
        return self.until(lease.Done, lambda done: done.op == op)

    def rows(self, q: int) -> list[lease.Row]:
        return [row for step in self.steps() for row in step.rows if row[0] == q]

    def tokens(self, q: int) -> list[int]:
        return [row[2] for row in self.rows(q)]

    def text(self, q: int) -> bytes:
        return b"".join(row[3] for row in self.rows(q))

    def steps(self) -> list[lease.Step]:
        return [message for message in self.seen if isinstance(message, lease.Step)]

    def ask(self, request: lease.Request) -> lease.Reply:
        """A request on the control channel."""
        self._control.sendall(lease.pack(msgspec.structs.replace(request, id=7)))
        found: list[bytes] = []
        while not found:
            data = self._control.recv(1 << 16)
            if not data:
                raise EOFError
            found = self._replies.feed(data)
        return lease.replies.decode(found[0])

    def tokenize(self, text: str) -> list[int]:
        return self.ask(lease.Tokenize(0, [text])).tokens[0]

    # Ends.

    def kill(self) -> None:
        """SIGKILL, and what the engine said before it."""
        self.process.kill()
        try:
            while True:
                self.receive()
        except (EOFError, ConnectionResetError):
            self.close()

    def close(self) -> bytes:
        """End of file; the engine's stderr. Its status is in `process`."""
        self._data.close()
        self._control.close()
        self.page.close()
        if self._abort >= 0:
            os.close(self._abort)
            self._abort = -1
        try:
            _, errors = self.process.communicate(timeout=SECONDS)
        except ValueError:
            return b""
        return errors or b""
