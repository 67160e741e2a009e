"""A connection to the kernel: blocking calls, pipelined calls, and the events that come between.

It knows frames and names of calls. What a call means is calls.py's; who starts a daemon is spawn.py's.
"""

import os
import struct

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.light import Any, deque, socket
from llmsh.abi.limits import SOCKET_PATH_MAX
from llmsh.abi.version import BUILD, MAJOR, MINOR
from llmsh.abi.wire import Decoder, Frame, Head, encode
from llmsh.lib import runtime
from llmsh.lib.poll import readable

_RECEIVE = 1 << 16
_F_SETSIG = 10
"""Of Linux; the fcntl module has no name for it."""
_UCRED = struct.Struct("iII")


class Connection:
    """One conversation with the kernel. `events` holds what came unasked, oldest first."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._decoder = Decoder()
        self._replies: dict[int, Frame] = {}
        self._last = 0
        self.events: deque[Frame] = deque()
        self.hello: Head = {}
        self.lost = False
        """Whether the kernel has closed it."""

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._sock.fileno()

    def close(self) -> None:
        """End the conversation."""
        self._sock.close()

    def _send(self, head: Head, body: bytes) -> None:
        try:
            # A daemon that is gone must be an error here, not SIGPIPE.
            self._sock.sendall(encode(head, body), socket.MSG_NOSIGNAL)
        except OSError as exc:
            raise Error("EHOSTDOWN", "the daemon went away") from exc

    def begin(self, name: str, body: bytes = b"", **args: Any) -> int:
        """Send a call; `take` has its reply later."""
        self._last += 1
        self._send({"id": self._last, "call": name, "args": args}, body)
        return self._last

    def post(self, name: str, body: bytes = b"", **args: Any) -> None:
        """Send a call that gets no reply."""
        self._send({"id": 0, "call": name, "args": args}, body)

    def take(self, number: int) -> tuple[Head, bytes] | None:
        """The reply to a call begun, if it has come. Raises the Error that the kernel answered."""
        frame = self._replies.pop(number, None)
        if frame is None:
            return None
        head, body = frame
        if "err" in head:
            raise Error(str(head["err"]), str(head.get("msg", "")))
        result = head.get("ok")
        return (result if isinstance(result, dict) else {}), body

    def pump(self) -> bool:
        """Receive once (it blocks when nothing is there) and sort what came. False at the end."""
        try:
            data = self._sock.recv(_RECEIVE)
        except ConnectionError:
            data = b""
        for head, body in self._decoder.feed(data):
            if "ev" in head:
                self.events.append((head, body))
            elif isinstance(head.get("id"), int):
                self._replies[head["id"]] = (head, body)
        self.lost = not data
        return bool(data)

    def finish(self, number: int) -> tuple[Head, bytes]:
        """Wait for the reply to a call begun."""
        while True:
            reply = self.take(number)
            if reply is not None:
                return reply
            if self.lost or not self.pump():
                raise Error("EHOSTDOWN", "the daemon went away")

    def call(self, name: str, body: bytes = b"", **args: Any) -> tuple[Head, bytes]:
        """Send a call and wait for its reply; events that come meanwhile are kept."""
        return self.finish(self.begin(name, body, **args))

    def waiting(self) -> bool:
        """Whether something has come that nobody has received."""
        return bool(readable(self.fileno(), seconds=0))

    def alarm(self, number: int) -> None:
        """Have the machine send us this signal when something comes; 0 ends that. Source: fcntl(2)."""
        import fcntl

        fd = self._sock.fileno()
        if number:
            fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(fd, _F_SETSIG, number)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC if number else flags & ~os.O_ASYNC)

    def peer(self) -> int:
        """User id of the process that listens."""
        size = _UCRED.size
        return int(_UCRED.unpack(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[1])


def _address() -> str:
    path = paths.socket()
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_MAX:
        raise Error("EINVAL", f"{path}: a socket's path may have {SOCKET_PATH_MAX} bytes, this one has {length}")
    return path


def _greet(conn: Connection) -> None:
    if conn.peer() != os.getuid():
        raise Error("EACCES", f"{paths.socket()}: served by user {conn.peer()}, not by you")
    try:
        conn.hello, _ = conn.call("hello", major=MAJOR, minor=MINOR, build=BUILD)
    except Error as exc:
        if exc.code == "EVERSION" and "daemon restart" not in exc.detail:
            raise Error("EVERSION", f"{exc.detail}; run `llmsh daemon restart`") from None
        raise


def dial() -> Connection:
    """Connect to the daemon that runs now.

    Raises Error: EHOSTDOWN when there is none, EVERSION, EACCES, EINVAL (path too long).
    """
    path = _address()
    if not runtime.ready(create=False):
        raise Error("EHOSTDOWN")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except PermissionError as exc:
        sock.close()
        raise Error("EACCES", f"{path}: {exc.strerror}") from None
    except OSError:
        sock.close()
        raise Error("EHOSTDOWN") from None
    conn = Connection(sock)
    try:
        _greet(conn)
    except BaseException:
        conn.close()
        raise
    return conn
