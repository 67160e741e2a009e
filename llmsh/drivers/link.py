"""A socket to an engine on the kernel's event loop: frames out without blocking, frames in as they come.

It knows lengths and bytes (abi/unpacker.py), no message. What the engine sends is hostile until decoded.
"""

import asyncio
import socket
from collections.abc import Callable

from llmsh.abi.unpacker import Unpacker

BACKLOG_MAX = 64 << 20
"""Bytes that an engine may leave unread before it counts as hanging."""
_CHUNK = 1 << 16
"""Bytes of one read: a larger buffer is mapped and unmapped for each, which costs more than the read."""


class Link:
    """One end of a socket pair. `frame` is called for each whole frame, `ended` once: with an empty
    text at the end of file, else with what the engine did wrong."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        end: socket.socket,
        frame: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._socket = end
        self._frame = frame
        self._ended = ended
        self._unpacker = Unpacker()
        self._out = bytearray()
        self._open = True
        end.setblocking(False)
        loop.add_reader(end, self._read)

    def send(self, data: bytes) -> None:
        """Write bytes, or queue them."""
        if not self._open:
            return
        if self._out:
            self._out += data
            if len(self._out) > BACKLOG_MAX:
                self._end("it does not read its channel")
            return
        self._out += data
        self._write()
        if self._out:
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._out)
            del self._out[:sent]
        except BlockingIOError:
            return
        except OSError:
            self._out.clear()  # it is dying: what it still says is read to its end
        if not self._out:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end("")
            return
        try:
            frames = self._unpacker.feed(data)
        except ValueError as exc:
            self._end(str(exc))
            return
        for each in frames:
            if self._open:
                self._frame(each)

    def fail(self, why: str) -> None:
        """A frame was no message."""
        self._end(why)

    def shut(self) -> None:
        """Say end of file to the engine; what it still sends is read."""
        if self._open:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                return  # it has gone already, and its end of file is on its way

    def _end(self, why: str) -> None:
        if self._open:
            self.close()
            self._ended(why)

    def close(self) -> None:
        """Let go of the socket without a word."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
