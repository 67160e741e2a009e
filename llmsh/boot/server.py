"""The socket's side of a connection: frames in, frames out, and what a client may do to us.

It knows no call. A client that does not read is a slow reader, then not read from, then cut off. No
descriptor is ever taken: the loop receives without room for them, and the machine's kernel closes
those that arrive. Source: unix(7).
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Protocol

from llmsh.abi.errors import Error
from llmsh.abi.levels import WARN
from llmsh.abi.limits import CLIENTS_MAX, CLIENTS_RESERVED
from llmsh.abi.wire import Decoder, encode
from llmsh.boot.peer import Peer, credentials

WRITABLE = 64 << 10
"""Unsent bytes from which a connection counts as not writable."""
DEAF = 1 << 20
"""Unsent bytes from which no more is read from it."""
LOST = 8 << 20
"""Unsent bytes at which it is cut off."""
GREETING_S = 30.0
"""Time for the first whole frame."""
FLUSH_S = 5.0
"""Time for what is unsent when a connection is being closed."""
BACKLOG = 1024
"""Connections that may wait to be accepted."""
RECEIVE = 64 << 10
"""Bytes of one read. The loop's own buffers are larger, and mapped and unmapped for every read."""
REFUSED_MAX = 64
"""Connections over all that are served that are told so; more are cut off without a word."""


class Desk(Protocol):
    """What serves the connections: the kernel."""

    def connect(self, conn: Any) -> None:
        """A client is there. Raises Error when it cannot be served."""

    def trap(self, conn: Any, head: dict[str, Any], body: bytes) -> None:
        """A client's frame."""

    def drained(self, conn: Any) -> None:
        """The connection takes bytes again."""

    def disconnect(self, conn: Any) -> None:
        """The client is gone."""


class Client(asyncio.BufferedProtocol):
    """One connection. Implements kernel.caller.Conn."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._served = False
        self._refused: Error | None = None
        self._closing = False
        self._reading = True
        self._out = bytearray()
        """Frames of this turn of the loop."""
        self.peer = Peer(0, -1)
        self.writable = True

    # From the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is before anything is read."""
        assert isinstance(transport, asyncio.Transport)  # what a stream server gives
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITABLE, low=WRITABLE // 4)
        pid, uid = credentials(transport.get_extra_info("socket"))
        self._server.clients.add(self)
        if len(self._server.clients) > CLIENTS_MAX + CLIENTS_RESERVED + REFUSED_MAX:
            transport.abort()
            return
        self._timer = self._server.loop.call_later(GREETING_S, self._late)
        self.peer = Peer(pid, uid)
        if uid != os.getuid():
            self._refused = Error("EPERM", f"user {uid} may not use the daemon of user {os.getuid()}")
            return
        try:
            self._server.desk.connect(self)
            self._served = True
        except Error as error:
            self._refused = error

    def get_buffer(self, sizehint: int) -> memoryview:
        """One buffer for all: what comes is taken out of it before the loop goes on."""
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Whole frames go to the kernel as they come."""
        try:
            for head, body in self._decoder.feed(self._server.buffer[:nbytes]):
                if self._closing:
                    return
                self._frame(head, body)
        except Error as error:
            self.close(error.detail)

    def _frame(self, head: dict[str, Any], body: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._refused is not None:
            self.send({"id": head.get("id"), "err": self._refused.code, "msg": self._refused.detail})
            self.close(self._refused.detail)
        else:
            self._server.desk.trap(self, head, body)

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        self.writable = False

    def resume_writing(self) -> None:
        """It has caught up."""
        self.writable = True
        if not self._reading and self._transport is not None and not self._closing:
            self._reading = True
            self._transport.resume_reading()
        if self._served:
            self._server.desk.drained(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or we are done with it."""
        self._transport = None
        self.writable = False
        if self._timer is not None:
            self._timer.cancel()
        self._server.clients.discard(self)
        if self._served:
            self._served = False
            self._server.desk.disconnect(self)

    # To the client.

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Queue a frame. An answer that is too long for one becomes an error."""
        if self._transport is None or self._closing:
            return
        try:
            data = encode(head, body)
        except Error as error:
            data = encode({"id": head.get("id"), "err": error.code, "msg": error.detail})
        if not self._out:
            self._server.loop.call_soon(self._flush)
        self._out += data
        if len(self._out) >= WRITABLE:
            self._flush()

    def _flush(self) -> None:
        """What a step of many processes says to one client is one write, and wakes it once."""
        transport, data = self._transport, self._out
        if transport is None or not data:
            return
        self._out = bytearray()
        transport.write(data)
        unsent = transport.get_write_buffer_size()
        if unsent > LOST:
            self._server.say(f"{WARN}client {self.peer.pid}: does not read, {unsent} bytes are unsent: cut off")
            self._closing = True
            transport.abort()
        elif unsent > DEAF and self._reading:
            self._reading = False
            transport.pause_reading()

    def close(self, reason: str) -> None:
        """Say why, send what is unsent, and end the connection."""
        if self._transport is None or self._closing:
            return
        self.send({"ev": "bye", "reason": reason})
        self._flush()
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._server.loop.call_later(FLUSH_S, self._transport.abort)
        self._transport.close()

    def _late(self) -> None:
        self._timer = None
        self.close(f"nothing was asked in {GREETING_S:.0f} s")


class Server:
    """Listening sockets and the connections that came through them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, desk: Desk, say: Callable[[str], None]) -> None:
        self.loop = loop
        self.desk = desk
        self.say = say
        self.clients: set[Client] = set()
        self.buffer = memoryview(bytearray(RECEIVE))
        self._doors: list[asyncio.Server] = []

    async def listen(self, sock: Any) -> None:
        """Accept what comes through a bound socket."""
        # Not create_unix_server: newer versions of it unlink the path when they close.
        self._doors.append(await self.loop.create_server(lambda: Client(self), sock=sock, backlog=BACKLOG))

    def shut(self) -> None:
        """Accept no more."""
        for door in self._doors:
            door.close()
        self._doors.clear()

    def close(self, reason: str) -> None:
        """Accept no more and close every connection, after what is unsent."""
        self.shut()
        for client in list(self.clients):
            client.close(reason)
