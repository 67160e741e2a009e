"""A real llmshd in this test's own folders (the `xdg` fixture's), started and stopped by the test.

It waits for the ready line, never for a time. Frames go over the socket as any client's do.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from llmsh.abi import paths
from llmsh.abi.wire import Decoder, Head, encode

ROOT = Path(__file__).resolve().parents[2]
WORDS = [sys.executable, "-P", "-m", "llmsh.boot"]


def environment(**more: str) -> dict[str, str]:
    """The present environment, with this checkout to import from."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


class Daemon:
    """llmshd --foreground with model fake. `said` is the line on the ready pipe."""

    def __init__(self, *options: str, pass_fds: tuple[int, ...] = (), **env: str) -> None:
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [*WORDS, "--foreground", "-o", "model=fake", *options],
            env=environment(LLMSH_READY_FD=str(writer), **env),
            pass_fds=(writer, *pass_fds),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        os.close(writer)
        with open(reader, encoding="utf-8") as pipe:
            self.said = pipe.readline()

    @property
    def pid(self) -> int:
        """Its OS pid."""
        return self.process.pid

    def ended(self) -> tuple[int, str]:
        """Wait for its end: exit status (negative the signal) and standard error."""
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err.decode()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it, if it has not."""
        self.process.send_signal(number)
        return self.ended()


class Wire:
    """A connection that speaks frames. `heard` keeps every frame in order. A test need not close it."""

    opened: ClassVar[list["Wire"]] = []

    def __init__(self, path: str | None = None, greet: bool = True) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.opened.append(self)
        self.sock.settimeout(60)
        self.sock.connect(path or paths.socket())
        self.heard: list[tuple[Head, bytes]] = []
        self._decoder = Decoder()
        self._answers: dict[int, tuple[Head, bytes]] = {}
        self._last = 0
        if greet:
            self.call("hello", major=1)

    def post(self, name: str, body: bytes = b"", **args: Any) -> int:
        """Send a call; its id."""
        self._last += 1
        self.sock.sendall(encode({"id": self._last, "call": name, "args": args}, body))
        return self._last

    def hear(self) -> bool:
        """Receive once; False at the end of file."""
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        for frame in self._decoder.feed(data):
            self.heard.append(frame)
            if "id" in frame[0]:
                self._answers[frame[0]["id"]] = frame
        return bool(data)

    def answer(self, ident: int) -> tuple[Head, bytes]:
        """The frame that answers a call."""
        while ident not in self._answers:
            assert self.hear(), f"closed before the answer; heard {self.heard}"
        return self._answers[ident]

    def call(self, name: str, body: bytes = b"", **args: Any) -> Head:
        """A call and its result."""
        head, _ = self.answer(self.post(name, body, **args))
        assert "ok" in head, head
        result: Head = head["ok"]
        return result

    def event(self, name: str, **fields: Any) -> Head:
        """Wait for an event with these fields; output is acknowledged on the way."""
        seen = 0
        while True:
            for head, body in self.heard[seen:]:
                seen += 1
                if head.get("ev") == "out":
                    with contextlib.suppress(BrokenPipeError):  # a daemon that leaves reads no more, but still says
                        self.post("ack", pid=head["pid"], fd=head["fd"], n=len(body))
                if head.get("ev") == name and all(head.get(key) == value for key, value in fields.items()):
                    return head
            assert self.hear(), f"closed before {name}; heard {self.heard}"

    def output(self, pid: int, fd: int = 1) -> bytes:
        """What a process has written so far."""
        return b"".join(body for head, body in self.heard if (head.get("pid"), head.get("fd")) == (pid, fd))

    def rest(self) -> list[tuple[Head, bytes]]:
        """Everything until the other side closes."""
        while self.hear():
            pass
        return self.heard

    def close(self) -> None:
        """Leave."""
        self.sock.close()
