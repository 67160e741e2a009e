"""A socket to the kernel that never makes the engine wait for it, up to a bound.

Messages are abi/lease.py's: a length, then msgpack. It knows no meaning of any.
"""

import select
import socket

import msgspec

from llmsh.abi import lease
from llmsh.abi.unpacker import Unpacker

BACKLOG_MAX = 4 << 20
"""Bytes that the kernel may leave unread before the engine waits for it."""
_CHUNK = 1 << 16


class Closed(Exception):  # how every engine ends
    """The kernel is gone."""


class Channel:
    """The data channel: messages in, messages out. Raises Closed at the end of file, and ValueError
    or msgspec.DecodeError on what is no message."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._unpacker = Unpacker()
        self._out = bytearray()
        self._poll = select.poll()

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something is queued that the kernel has not taken."""
        return bool(self._out)

    def send(self, message: lease.FromEngine) -> None:
        """Queue a message."""
        self._out += lease.pack(message)

    def receive(self, *, wait: bool) -> list[lease.ToEngine]:
        """Messages that are there; with `wait`, at least one byte is waited for."""
        if wait:
            self._wait(select.POLLIN)
        out: list[lease.ToEngine] = []
        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return out
            except OSError as exc:
                raise Closed from exc
            if not data:
                raise Closed
            out += map(lease.to_engine.decode, self._unpacker.feed(data))
            if len(data) < _CHUNK:
                return out

    def flush(self) -> None:
        """Write what the kernel takes now; wait only while it has left BACKLOG_MAX unread."""
        while self._out:
            try:
                sent = self._socket.send(self._out)
                del self._out[:sent]
            except BlockingIOError:
                if len(self._out) <= BACKLOG_MAX:
                    return
                self._wait(select.POLLOUT)
            except OSError as exc:
                raise Closed from exc

    def _wait(self, events: int) -> None:
        """Until one of the events; what is queued goes out meanwhile."""
        while True:
            wanted = events | (select.POLLOUT if self._out else 0)
            self._poll.register(self._socket, wanted)
            found = self._poll.poll()[0][1]
            if found & (events | select.POLLHUP | select.POLLERR):
                return
            self._some()

    def _some(self) -> None:
        try:
            sent = self._socket.send(self._out)
            del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError as exc:
            raise Closed from exc


class Blocking:
    """The control channel, served by a thread of its own: one request, one reply."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._unpacker = Unpacker()

    def receive(self) -> list[lease.Request]:
        """The next requests; an empty list is a piece of one. Raises Closed."""
        try:
            data = self._socket.recv(_CHUNK)
        except OSError as exc:
            raise Closed from exc
        if not data:
            raise Closed
        return [lease.requests.decode(each) for each in self._unpacker.feed(data)]

    def send(self, reply: lease.Reply) -> None:
        """One reply."""
        try:
            self._socket.sendall(lease.pack(reply))
        except OSError as exc:
            raise Closed from exc


BROKEN = (ValueError, msgspec.DecodeError)
"""What a peer that does not speak the protocol raises here."""
