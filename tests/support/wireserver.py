"""A server that speaks the wire on a real socket and says what a test tells it to.

It answers hello, keeps every other call for the test to take, and knows no process.
"""

import contextlib
import queue
import socket
import threading
from pathlib import Path
from typing import Any

from llmsh.abi.version import MAJOR, MINOR
from llmsh.abi.wire import Decoder, encode

PATIENCE_S = 20
"""A test that waits longer has failed."""


class Call:
    """One call that a client made."""

    def __init__(self, link: "Link", head: dict[str, Any], body: bytes) -> None:
        self.link = link
        self.id = head["id"]
        self.name = str(head["call"])
        self.args: dict[str, Any] = head["args"]
        self.body = body

    def ok(self, body: bytes = b"", **result: Any) -> None:
        """Answer with a result."""
        self.link.send({"id": self.id, "ok": result}, body)

    def fail(self, code: str, message: str) -> None:
        """Answer with an error."""
        self.link.send({"id": self.id, "err": code, "msg": message})


class Link:
    """One connection."""

    def __init__(self, server: "WireServer", sock: socket.socket) -> None:
        self._server = server
        self._sock = sock

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame; a client that is gone gets none."""
        with contextlib.suppress(OSError):
            self._sock.sendall(encode(head, body))

    def event(self, name: str, body: bytes = b"", **fields: Any) -> None:
        """Send an event."""
        self.send({"ev": name, **fields}, body)

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Take frames until the client hangs up."""
        decoder = Decoder()
        while data := self._receive():
            for head, body in decoder.feed(data):
                self._server.take(Call(self, head, body))
        self._sock.close()
        self._server.calls.put(None)

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(65536)
        except OSError:
            return b""


class WireServer:
    """Listens on `path`. `calls` holds what clients called, None where one hung up."""

    def __init__(self, path: Path) -> None:
        self.calls: queue.Queue[Call | None] = queue.Queue()
        self.hello: dict[str, Any] = {"ok": {"major": MAJOR, "minor": MINOR, "build": "test", "pid": 1, "uptime_ms": 5}}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._links: list[Link] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            link = Link(self, sock)
            self._links.append(link)
            thread = threading.Thread(target=link.serve)
            self._threads.append(thread)
            thread.start()

    def take(self, call: Call) -> None:
        """A call has come."""
        if call.name == "hello":
            call.link.send({"id": call.id, **self.hello})
        else:
            self.calls.put(call)

    def expect(self, name: str) -> Call:
        """The next call, which must be this one."""
        call = self.calls.get(timeout=PATIENCE_S)
        assert call is not None, f"the client hung up before {name}"
        assert call.name == name, f"{call.name}{call.args} instead of {name}"
        return call

    def expect_end(self) -> None:
        """The client hangs up without another call."""
        call = self.calls.get(timeout=PATIENCE_S)
        assert call is None, f"{call.name}{call.args} instead of the end"

    def begin(self, pid: int = 1 << 22, **wanted: Any) -> Call:
        """Take a `run` with these arguments and answer it."""
        call = self.expect("run")
        assert {name: call.args[name] for name in wanted} == wanted
        call.ok(pid=pid, pgid=call.args["pgid"] or pid)
        return call

    def close(self) -> None:
        """Hang up on everybody."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            link.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
