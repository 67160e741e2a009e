"""fg: continue a job and stand for it: print what it writes, pass signals on, end as it ends. See fg(1)."""

from llmsh.abi import signals
from llmsh.abi.errors import Error
from llmsh.abi.light import signal
from llmsh.lib import calls, jobs, leave, spawn, term
from llmsh.lib.catch import Catcher
from llmsh.lib.command import Command
from llmsh.lib.conn import Connection
from llmsh.lib.options import Usage, parse
from llmsh.lib.poll import readable

COMMAND = Command(
    "fg",
    "continue a job in the foreground and wait for it",
    ("[JOB]",),
    operands="pid",
    alone=True,
    notes="JOB is %N, %NAME or a pid; without one, the job stopped last. Output of a detached job is printed from "
    "where its log stands; an attached one writes where it was started.",
)

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)


class _Follower:
    """Follows the log of a process (if it has one) until it ends."""

    def __init__(self, conn: Connection, pid: int) -> None:
        self.conn = conn
        self.pid = pid
        self.screen = term.Stream(1)
        self.wait = conn.begin("wait", pid=pid)
        self.log = 0
        try:
            _, self.offset, _ = calls.logs(conn, pid, -1)
            self.ask()
        except Error:  # an attached process has none
            self.offset = -1

    def ask(self) -> None:
        """Ask for what follows."""
        self.log = self.conn.begin("logs", pid=self.pid, offset=self.offset, follow=True)

    def read(self) -> leave.Ending | None:
        """Print what has come; how the process ended, once it has and its log is out."""
        if self.log:
            reply = self.conn.take(self.log)
            if reply is None:
                return None
            self.screen.write(reply[1])
            self.offset = int(reply[0]["offset"])
            self.log = 0
            if not reply[0]["eof"]:
                self.ask()
                return None
        ended = self.conn.take(self.wait)
        if ended is None:
            return None
        self.screen.end()
        return leave.ending_of(self.pid, ended[0])


def _stand(conn: Connection, job: jobs.Job) -> leave.Ending:
    follower = _Follower(conn, job.rows[-1]["pid"])
    with Catcher(_PASSED_ON) as caught:
        while True:
            ending = follower.read()
            if ending is not None:
                return ending
            ready = readable(conn.fileno(), caught.fileno())
            for number in caught.read():
                conn.post("kill", pid=-job.pgid, sig=number)
                if number == signal.SIGTSTP:
                    return leave.Ending(job.pgid, 148)
            if conn.fileno() in ready and not conn.pump():
                raise Error("EHOSTDOWN", "the daemon went away")


def _to_front(conn: Connection, pgid: int) -> None:
    """Where there is no terminal nobody waits before it: it goes on as it was."""
    try:
        calls.foreground(conn, pgid)
    except Error as error:
        if error.code != "ENOTTY":
            raise


def main(argv: list[str]) -> int:
    """Continue, follow, end as it does; Ctrl-Z stops the job and gives the terminal back."""
    given = parse(COMMAND, argv)
    if len(given.operands) > 1:
        raise Usage("one job")
    conn = spawn.running()
    job = jobs.find(jobs.listed(conn) if conn else [], "".join(given.operands))
    assert conn is not None, "who has a job runs"
    term.line(job.text)
    _to_front(conn, job.pgid)
    calls.kill(conn, -job.pgid, signals.CONT)
    return leave.leave(_stand(conn, job))
