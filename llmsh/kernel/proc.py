"""One process: its record, and the one door through which its state changes.

It does nothing itself. Fields are fenced by who may write them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmsh.abi.limits import INIT
from llmsh.abi.program import Effect, Event, Image, Program, State
from llmsh.abi.states import DEAD, MOVES, RUN, SLEEP, STOPPED, ZOMBIE

if TYPE_CHECKING:
    from llmsh.kernel.caller import Caller, Trap
    from llmsh.kernel.file import File
    from llmsh.kernel.host import Host
    from llmsh.kernel.outlet import Outlet
    from llmsh.kernel.sched import Goal
    from llmsh.kernel.stream import Stream


class Panic(Exception):
    """What only a bug of ours can cause."""


class Limits:
    """What a process may use; 0 is no limit."""

    __slots__ = ("answer", "context", "grace", "output", "seconds", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.answer = 0
        self.context = 0
        self.output = 0
        self.seconds = 0.0
        self.grace = 2.0


class Process:
    """A running agent, or what is left of it."""

    # Thousands sleep: a dict for each would be the largest part of them.
    __slots__ = (
        "agent",
        "args",
        "began",
        "cwd",
        "detached",
        "device_ms",
        "dying",
        "effects",
        "ended",
        "env",
        "event",
        "files",
        "front",
        "goal",
        "host",
        "image",
        "limits",
        "logprob",
        "model",
        "nice",
        "oom",
        "outlets",
        "output",
        "owner",
        "partial",
        "pending",
        "pgid",
        "pid",
        "ppid",
        "program",
        "program_state",
        "reason",
        "recorded",
        "sid",
        "signal",
        "started",
        "state",
        "status",
        "stream",
        "timers",
        "tokens_in",
        "tokens_out",
        "told",
        "tty",
        "umask",
        "waited",
        "waiters",
        "waiting",
        "wchan",
    )

    def __init__(self, pid: int, ppid: int, pgid: int, sid: int, agent: str) -> None:
        # Fixed at the start.
        self.pid = pid
        self.sid = sid
        self.agent = agent
        self.model = ""
        self.tty = ""
        self.args: list[str] = []
        self.cwd = "/"
        self.umask = 0o77
        self.env: dict[str, str] = {}
        self.started = self.began = 0.0
        self.detached = False
        self.limits = Limits()
        self.program: Program | None = None
        self.image: Image | None = None
        # Written by the table.
        self.ppid = ppid
        self.pgid = pgid
        self.owner: Caller | None = None
        """The connection that holds its descriptors and hears of its end."""
        # Written by foreground.
        self.front: Caller | None = None
        """The connection that took it to the foreground of a terminal, and waits for it there."""
        # Written by `move` only.
        self.state = SLEEP
        # Written by signal.
        self.dying = 0
        """Signal (or -status) that it will end by once it is quiet, 0 for none."""
        self.pending: frozenset[int] = frozenset()
        """Signals kept until it continues, or until the answer that they end begins."""
        # Written by the interpreter of effects.
        self.program_state: State | None = None
        self.effects: list[Effect] = []
        self.waiting: Effect | None = None
        self.wchan = ""
        self.event: Event | None = None
        """An answer that came while it was stopped."""
        self.partial = bytearray()
        # Written by exec.
        self.files: list[File] = []
        self.outlets: dict[int, Outlet] = {}
        self.output = 0
        # Written by the dispatcher and the host.
        self.nice = self.oom = 0
        self.host: Host | None = None
        self.stream: Stream | None = None
        self.tokens_in = self.tokens_out = 0
        self.device_ms = self.logprob = 0.0
        # Written by goals.
        self.goal: Goal | None = None
        # Written by exit.
        self.status: int | None = None
        self.ended = 0.0
        self.signal = 0
        self.reason = ""
        self.timers: list[Any] = []
        self.recorded = self.told = self.waited = False
        """Whether the journal has its end; whether its owner has heard of it; whether it has the status, so
        that nobody will ask again."""
        self.waiters: list[tuple[Trap, Callable[[], None]]] = []
        """Calls that its end answers, and how."""

    @property
    def alive(self) -> bool:
        """Whether it can still do anything."""
        return self.state not in (ZOMBIE, DEAD)

    @property
    def stopped(self) -> bool:
        """Whether a signal holds it."""
        return self.state == STOPPED

    @property
    def reaper(self) -> int:
        """Whose child it is when its parent is gone: of the client that holds its descriptors, else init's."""
        return INIT if self.owner is None or self.owner.gone else self.owner.conn.peer.pid

    def move(self, state: str) -> None:
        """The only door: a move that the table does not allow is a panic."""
        if state == self.state:
            return
        if state not in MOVES[self.state]:
            raise Panic(f"process {self.pid}: {self.state} to {state}")
        self.state = state

    def at_end(self, call: "Trap", answer: Callable[[], None]) -> None:
        """Answer a call at its end, unless something else has by then."""
        self.waiters = [waiter for waiter in self.waiters if not waiter[0].answered]
        self.waiters.append((call, answer))

    def run_state(self) -> str:
        """R or S by what it waits for; where a stopped process goes back to."""
        return SLEEP if self.wchan else RUN
