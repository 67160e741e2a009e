"""What a system call costs: null(2) over the socket, from one client and from 50 at once.

The clients are one process that sends ready-made frames and looks at nothing but lengths, so that it
costs as little as a client in Python can; both sides share the machine.
"""

import selectors
import socket
import struct
import time
from collections.abc import Iterator

from bench import stats
from bench.daemon import Daemon
from bench.place import Place
from bench.row import NOTE, Row
from llmsh.abi.version import BUILD, MAJOR, MINOR
from llmsh.abi.wire import encode

ONE, MANY = 1, 50
CALLS = 5000
SECONDS = 2.0
WARM = 200
_CALL = encode({"id": 1, "call": "null", "args": {}})
_HELLO = encode({"id": 1, "call": "hello", "args": {"major": MAJOR, "minor": MINOR, "build": BUILD}})
_LENGTH = struct.Struct("!I")


def _reply(sock: socket.socket) -> None:
    """Read one frame; nothing else is on its way on this socket."""
    data = sock.recv(4096)
    while len(data) < 4 or len(data) < 4 + _LENGTH.unpack_from(data)[0]:
        more = sock.recv(4096)
        assert more, "the daemon went away"
        data += more


def _greeted(daemon: Daemon) -> socket.socket:
    sock = daemon.socket()
    sock.sendall(_HELLO)
    _reply(sock)
    return sock


def latencies(daemon: Daemon, calls: int) -> list[float]:
    """Microseconds of each of so many calls, one after the other."""
    out: list[float] = []
    with _greeted(daemon) as sock:
        for i in range(WARM + calls):
            began = time.perf_counter()
            sock.sendall(_CALL)
            _reply(sock)
            if i >= WARM:
                out.append((time.perf_counter() - began) * 1e6)
    return out


def rate(daemon: Daemon, clients: int, seconds: float) -> float:
    """Calls per second when each of so many clients sends its next one as soon as it has its reply."""
    socks = [_greeted(daemon) for _ in range(clients)]
    count = 0
    with selectors.EpollSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ)
            sock.sendall(_CALL)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                _reply(key.fileobj)
                key.fileobj.sendall(_CALL)
                count += 1
        took = time.perf_counter() - began
    for sock in socks:
        sock.close()
    return count / took


def rows(place: Place) -> Iterator[Row]:
    """Latency, and throughput with 1 and 50 clients."""
    with Daemon() as daemon:
        found = latencies(daemon, place.count(CALLS, 500))
        rates = {n: rate(daemon, n, SECONDS * min(1.0, max(0.1, place.scale))) for n in (ONE, MANY)}
    p50, p99 = stats.percentile(found, 0.5), stats.percentile(found, 0.99)
    yield Row("null call, p50 and p99", "", f"{p50:.0f} and {p99:.0f} us", NOTE, {"p50_us": p50, "p99_us": p99})
    for clients, each in rates.items():
        name = f"null calls a second, {clients} client{'s' * (clients > 1)}"
        yield Row(name, "", f"{each:.0f}", NOTE, {"per_second": each})
