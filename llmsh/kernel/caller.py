"""A connection as the kernel sees it: who calls, what it holds, and one call with its answer.

It knows no socket: the server gives it something to send through.
"""

from typing import Any, Protocol

from llmsh.abi.errors import Error
from llmsh.kernel.pipe import Pipe


class Peer(Protocol):
    """The OS process at the other end, as the machine's kernel describes it."""

    pid: int
    uid: int
    sid: int
    tty: str
    """As pts/3; empty for none."""

    def foreground(self) -> bool:
        """Whether its group is the foreground of its terminal."""

    def stopped(self) -> bool:
        """Whether it is stopped."""

    def cont(self) -> None:
        """Send it SIGCONT."""


class Conn(Protocol):
    """One client's connection."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""

    @property
    def writable(self) -> bool:
        """Whether it takes more without growing; Kernel.drained tells when it does again."""

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Queue a frame."""

    def close(self, reason: str) -> None:
        """End the connection."""


class Caller:
    """A subject: the person behind a connection, and what the connection holds."""

    def __init__(self, conn: Conn, *, spare: bool = False) -> None:
        self.conn = conn
        self.spare = spare
        """It came when all others' places were taken, and may begin nothing."""
        self.greeted = False
        self.gone = False
        self.pids: set[int] = set()
        """Attached processes whose descriptors lead here, and zombies it may wait for."""
        self.pipes: dict[int, Pipe] = {}
        """Pipes made and not yet bound at both ends."""
        self.calls: set[Trap] = set()
        """Calls without an answer yet."""

    def event(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send an event unless the connection is gone."""
        if not self.gone:
            self.conn.send(head, body)


class Trap:
    """One system call: its arguments, and `ok` or `fail`, exactly one of them, at some time."""

    def __init__(self, caller: Caller, ident: int, name: str, args: dict[str, Any], body: bytes) -> None:
        self.caller = caller
        self.ident = ident
        self.name = name
        self.args = args
        self.body = body
        self.answered = False
        caller.calls.add(self)

    def __getitem__(self, name: str) -> Any:
        return self.args[name]

    def ok(self, result: dict[str, Any] | None = None, body: bytes = b"") -> None:
        """Answer with a result; the second answer to one call is ignored."""
        self._answer({"id": self.ident, "ok": result or {}}, body)

    def fail(self, error: Error) -> None:
        """Answer with an error."""
        self._answer({"id": self.ident, "err": error.code, "msg": error.detail}, b"")

    def _answer(self, head: dict[str, Any], body: bytes) -> None:
        if self.answered:
            return
        self.answered = True
        self.caller.calls.discard(self)
        if self.ident:
            self.caller.event(head, body)
