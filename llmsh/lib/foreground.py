"""The foreground client: a process of the machine that stands for agents and behaves as they would.

Its input is read only when an agent wants it, its output is written as it comes, its signals are the
agents', and it stops, continues and dies as they do. It keeps no buffer beyond what the kernel has
leased to its descriptors. How a command line becomes agents is start.py's.
"""

import os
import select

from llmsh.abi.errors import Error
from llmsh.abi.light import Callable, Sequence, signal
from llmsh.abi.wire import Head
from llmsh.lib import agent, term
from llmsh.lib.agent import AgentSpec
from llmsh.lib.catch import Catcher
from llmsh.lib.conn import Connection
from llmsh.lib.inlet import Inlet
from llmsh.lib.leave import Ending, ending_of
from llmsh.lib.outlet import Outlet

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_CAUGHT = (*_PASSED_ON, signal.SIGTSTP, signal.SIGCONT)

started: Callable[[list[int]], None] | None = None
"""Set by a shell in a child that it forked: told the agents' pids, so that $! and %1 mean them."""


class Client:
    """Stands for the agents of one group until all have ended. `pids` are in the pipeline's order."""

    def __init__(
        self, conn: Connection, pids: Sequence[int], pgid: int, fds: tuple[int, int, int], *, name: str
    ) -> None:
        self.conn = conn
        self.pids = list(pids)
        self.group = -pgid
        self.name = name
        self.inlet = Inlet(fds[0])
        out = Outlet(fds[1])
        self.outlets = {1: out, 2: Outlet(fds[2], beside=out)}
        self.endings: dict[int, Ending] = {}
        self.stopped: set[int] = set()
        self.failed = False
        """An error of ours (a full disk) makes the status 1 whatever the agent's."""
        self.asked: dict[int, int] = {}
        """Signal to the id of the call that passes it on, until that is answered."""
        self.told: set[int] = set()
        """Signals passed on at some time."""
        self.killed = 0
        self.caught = Catcher(_CAUGHT)
        self.pending: list[int] = []
        """Signals caught and not yet done."""
        self.orphan = False
        """Nobody could continue us if we stopped, so a background read must fail instead."""

    # What is under way.

    def alive(self) -> list[int]:
        """Agents that have not ended."""
        return [pid for pid in self.pids if pid not in self.endings]

    def done(self) -> bool:
        """Whether there is nothing left to stand for."""
        if self.killed:
            return True
        return not self.alive() and not self.blocked()

    def run(self) -> list[Ending]:
        """Until the end; how each ended. Raises Error EHOSTDOWN when the daemon goes away."""
        self.stand()
        if self.killed:
            return [Ending(pid, 128 + self.killed, self.killed) for pid in self.pids]
        ends = [self.endings.get(pid, Ending(pid, 0)) for pid in self.pids]
        if self.failed:
            ends[-1] = Ending(ends[-1].pid, 1)
        return ends

    def stand(self) -> None:
        """Do what is to be done until all is done. Raises Error EHOSTDOWN when the daemon goes away."""
        with self.caught:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTSTP,))
            while True:
                self.events()
                if self.done():
                    break
                self.follow()
                if self.conn.lost and self.alive():
                    self.outlets[2].fresh()
                    raise Error("EHOSTDOWN", "the daemon went away")
                self.turn()

    def turn(self) -> None:
        """Wait for whatever can happen, and do it."""
        poller = select.poll()
        poller.register(self.caught, select.POLLIN)
        if not self.conn.lost:
            poller.register(self.conn, select.POLLIN)
        for outlet in self.outlets.values():
            if not outlet.closed and (outlet.waiting or self.alive()):
                # With no event asked for, poll still says POLLERR: the reader went away.
                poller.register(outlet.fd, select.POLLOUT if outlet.ready else 0)
        if self.inlet.pid and not self.pending and not self.ending():
            if not self.orphan and self.inlet.background():
                self.stop(signal.SIGTTIN)
                return
            poller.register(self.inlet.fd, select.POLLIN)
        # What came with the continuation is done before anything that could stop us again.
        ready = dict(poller.poll(0 if self.pending else None))
        self.pending += self.caught.read()
        while self.pending:
            self.signal(self.pending.pop(0))
        if self.conn.fileno() in ready:
            self.conn.pump()
            self.answers()
        for fd, outlet in self.outlets.items():
            if outlet.fd in ready and not outlet.closed:
                self.drain(fd, outlet, ready[outlet.fd])
        if self.inlet.pid and self.inlet.fd in ready:
            self.read()

    def post(self, call: str, body: bytes = b"", **args: object) -> None:
        """A call without reply; that the daemon is gone shows when we read."""
        try:
            self.conn.post(call, body, **args)
        except Error:
            return

    # From the kernel.

    def events(self) -> None:
        """Do what the kernel said."""
        while self.conn.events:
            head, body = self.conn.events.popleft()
            pid = int(head.get("pid", 0))
            if head["ev"] == "out":
                self.take(pid, int(head["fd"]), body)
            elif head["ev"] == "want":
                self.want(pid, int(head["n"]))
            elif head["ev"] == "stat":
                self.state(pid, str(head["stat"]))
            elif head["ev"] == "exit":
                self.ended(ending_of(pid, head), head)

    def want(self, pid: int, n: int) -> None:
        """An agent wants input."""
        self.inlet.want(pid, n)

    def ended(self, ending: Ending, head: Head) -> None:
        """An agent has ended; `head` is what the kernel says of it."""
        self.endings[ending.pid] = ending
        self.inlet.forget(ending.pid)
        for outlet in self.outlets.values():
            outlet.end(ending.pid)

    def take(self, pid: int, fd: int, body: bytes) -> None:
        """Output of an agent."""
        outlet = self.outlets[fd]
        if not outlet.closed:
            outlet.put(pid, body)
        elif fd == 2:  # nobody reads its notes: that must not hold it up
            self.post("ack", pid=pid, fd=fd, n=len(body))

    def state(self, pid: int, state: str) -> None:
        """An agent stopped or went on. A stop from before our own CONT is an old story."""
        if state == "T" and signal.SIGCONT not in self.asked:
            self.stopped.add(pid)
        else:
            self.stopped.discard(pid)

    def follow(self) -> None:
        """When all agents have stopped, stop too: somebody sent them STOP."""
        if self.stopped and self.stopped.issuperset(self.alive()) and not self.stopping():
            self.pause(signal.SIGSTOP)

    def ending(self) -> bool:
        """Whether the agents have been told to end: they need no input any more, from nobody."""
        return any(number in self.told for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))

    def stopping(self) -> bool:
        """Whether a stop of ours is on its way to the agents."""
        return signal.SIGTSTP in self.asked or signal.SIGTTIN in self.asked

    def answers(self) -> None:
        """Replies to signals that we passed on; after a stop took effect, we stop."""
        self.events()
        for number, call in list(self.asked.items()):
            try:
                if self.conn.take(call) is None:
                    continue
            except Error:  # the agents have just ended: their `exit` says how
                pass
            del self.asked[number]
            if number in (signal.SIGTSTP, signal.SIGTTIN) and self.alive():
                self.pause(number)

    # Signals.

    def signal(self, number: int) -> None:
        """A signal of ours is the agents'."""
        if number == signal.SIGCONT:
            if self.stopped:
                self.ask(number)
        elif number == signal.SIGTSTP:
            self.stop(number)
        elif not self.alive() or number in self.asked or (number in self.told and self.blocked()):
            # Nothing left to pass it to, a daemon that does not answer, or a reader that does not read.
            self.killed = number
        else:
            self.told.add(number)
            self.ask(number)

    def blocked(self) -> bool:
        """Whether output waits for its reader."""
        return any(outlet.waiting for outlet in self.outlets.values())

    def ask(self, number: int) -> None:
        """Pass a signal on, and remember until it is answered."""
        try:
            self.asked[number] = self.conn.begin("kill", pid=self.group, sig=number)
        except Error:  # the daemon is gone, which shows when we read
            return

    def stop(self, number: int) -> None:
        """Stop the agents, then (in `answers`) ourselves. Asked twice: do not wait for the kernel."""
        if number in self.asked or not self.alive():
            self.pause(number)
            return
        self.ask(number)
        while number == signal.SIGTTIN and number in self.asked and self.conn.pump():
            self.answers()

    def pause(self, number: int) -> None:
        """Stop this OS process until somebody continues it, or the kernel has something to say."""
        # A stopped process hears nothing: word of the agents' continuation or end must wake it.
        self.conn.alarm(signal.SIGCONT)
        if self.conn.waiting() and number == signal.SIGSTOP:
            self.conn.alarm(0)
            return
        while self.conn.waiting() and self.conn.pump():
            self.events()
        # A background read stops the whole group, as the terminal driver would.
        self.caught.raise_default(number, 0 if number == signal.SIGTTIN else os.getpid())
        self.conn.alarm(0)
        came = self.caught.read()
        self.orphan = number == signal.SIGTTIN and signal.SIGCONT not in came
        self.pending += [other for other in came if other != signal.SIGCONT]
        if not self.conn.waiting():  # it was a continuation, and it is the agents' as well
            self.stopped.clear()
            self.ask(signal.SIGCONT)

    # Descriptors.

    def drain(self, fd: int, outlet: Outlet, happened: int) -> None:
        """Write on what an agent said; a reader that is gone ends it."""
        try:
            if outlet.ready and happened & select.POLLOUT:
                self.written(fd, outlet.write())
                return
            if not happened & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                return
        except BrokenPipeError:
            pass
        except OSError as exc:
            if fd == 1:
                self.fail(f"write error: {exc.strerror}")
        dropped = outlet.close()
        if fd == 1:
            self.deaf()
        elif fd == 2:
            self.written(fd, dropped)

    def written(self, fd: int, pieces: list[tuple[int, int]]) -> None:
        """Bytes of agents are out, or lost: they may say as many more."""
        for pid, n in pieces:
            self.post("ack", pid=pid, fd=fd, n=n)

    def deaf(self) -> None:
        """Nobody reads what the agents say."""
        if self.alive():
            self.post("close", pid=self.pids[-1], fd=1)

    def read(self) -> None:
        """Give an agent the input that it wants."""
        data = b""
        try:
            data = self.inlet.read()
        except BlockingIOError:
            return
        except OSError as exc:
            self.fail(f"standard input: {exc.strerror}")
        pid = self.inlet.pid
        self.inlet.forget(pid)
        self.give(pid, data)

    def give(self, pid: int, data: bytes) -> None:
        """Input for an agent; none at the end."""
        self.post("write", data, pid=pid, fd=0, eof=not data)

    def fail(self, cause: str) -> None:
        """An error of this OS process, not of an agent."""
        self.failed = True
        self.complain(cause)

    def complain(self, cause: str) -> None:
        """One line of our own, on a line of its own."""
        self.outlets[2].fresh()
        term.complain(self.name, cause)


def run_agents(
    conn: Connection,
    specs: Sequence[AgentSpec],
    *,
    stdin_fd: int = 0,
    stdout_fd: int = 1,
    stderr_fd: int = 2,
    name: str = "run",
) -> list[Ending]:
    """Run agents joined by kernel pipes as one foreground job; how each ended, in order.

    The caller has this OS process to itself (a command, or a shell's child after fork) and ends as
    the last agent did by leave.leave(endings[-1]). `name` stands before errors. Raises Error.
    """
    pids = unstopped(lambda: agent.start(conn, specs))
    return attend(conn, pids, (stdin_fd, stdout_fd, stderr_fd), name=name)


def unstopped(start: Callable[[], list[int]]) -> list[int]:
    """What `start` returns, for agents that a Client is about to stand for. Raises Error.

    A Ctrl-Z that came before it is caught would stop us and not the agents: it waits until then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTSTP,))
    try:
        return start()
    except Error:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTSTP,))
        raise


def attend(
    conn: Connection, pids: Sequence[int], fds: tuple[int, int, int] = (0, 1, 2), *, name: str = "run"
) -> list[Ending]:
    """Stand for agents that were just started over this connection; how each ended."""
    if started is not None:
        started(list(pids))
    # The first of a group names it: agent.start starts them so.
    return Client(conn, pids, pids[0], fds, name=name).run()
