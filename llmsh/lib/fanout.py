"""One agent over many texts: a process for each, so many at once, their answers one after the other.

A foreground client of a changing group of processes. What it holds is bounded: so many processes, so many
answers that wait for their turn, and of each so many bytes that more must wait in the process. It reads input
only when it could start somebody with it. What a text is, items.py knows.
"""

from llmsh.abi import signals
from llmsh.abi.errors import Error
from llmsh.abi.light import deque, signal
from llmsh.abi.wire import Head
from llmsh.lib import agent
from llmsh.lib.agent import AgentSpec
from llmsh.lib.conn import Connection
from llmsh.lib.foreground import Client
from llmsh.lib.items import Items
from llmsh.lib.leave import Ending

WINDOW = 64
"""Answers that may wait for their turn, beside those that are being made."""
HELD = 16 << 10
"""Bytes of each that are held here; a process with more to say waits."""
FLIGHT = 16
"""Starts that are on their way to the kernel at once."""
CHUNK = 4096
UNLIMITED = 1 << 20
FAILED, ABORTED, KILLED = 123, 124, 125
"""Statuses, as xargs(1) has them: some failed, one ended with 255, one was ended by a signal."""
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Job:
    """One text and its process. `pid` is 0 until that has started."""

    __slots__ = ("ended", "held", "last", "owed", "pid", "ready", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pid = 0
        self.held = bytearray()
        self.owed = 0
        """Bytes at the end of `held` that the process has not been told are taken."""
        self.last = b""
        """The last byte of its answer so far."""
        self.ready = self.ended = False


class Fan(Client):
    """Stands for the processes. `line` has the jobs whose answers are not written yet, in the input's order."""

    def __init__(
        self, conn: Connection, spec: AgentSpec, items: Items, *, width: int, ordered: bool, keep_going: bool
    ) -> None:
        super().__init__(conn, (), 0, (0, 1, 2), name="map")
        self.items = items
        self.width = self.most = width or UNLIMITED
        """How many processes at once are wanted, and how many there may be just now."""
        self.ordered = ordered
        self.keep_going = keep_going
        self.line: deque[Job] = deque()
        self.starting: dict[int, Job] = {}
        """By the id of the call."""
        self.again: deque[Job] = deque()
        """Jobs whose start was refused for now."""
        self.running: dict[int, Job] = {}
        self.full: deque[Job] = deque()
        """Without order: who may speak next."""
        self.speaker: Job | None = None
        self.refused: Error | None = None
        self.late: list[int] = []
        """Signals for a group whose number is not known yet."""
        self.over = self.unread = False
        """Nothing more is to be started; nobody reads."""
        self.status = 0
        self._call = agent.request(spec)
        self._elastic = width == 0

    def finish(self) -> Ending:
        """Stand for them until the end; how to end."""
        self.stand()
        told = [number for number in _ENDING if number in self.told]
        number = self.killed or (told[0] if told else 0)
        if not number and self.unread and not self.failed:
            number = int(signal.SIGPIPE)
        return Ending(0, 1 if self.failed else self.status, number)

    # See Client.

    def alive(self) -> list[int]:
        """See Client; 0 stands for who is just being started."""
        return [*self.running, *([0] if self.starting else [])]

    def done(self) -> bool:
        """See Client."""
        if self.killed:
            return True
        return (self.over or self.items.done) and not self.line and not self.alive() and not self.blocked()

    def turn(self) -> None:
        """See Client."""
        self.speak()
        self.fill()
        if self.done():
            return
        if self.room() and self.items.hungry:
            self.inlet.want(1, CHUNK)
        else:
            self.inlet.forget(1)
        super().turn()

    def give(self, pid: int, data: bytes) -> None:
        """See Client: input is ours."""
        self.items.feed(data)

    def events(self) -> None:
        """See Client. A process's events come after the answer that names it."""
        for number, job in list(self.starting.items()):
            self.begun(number, job)
        super().events()

    def signal(self, number: int) -> None:
        """See Client. What ends the processes ends the starting of others."""
        super().signal(number)
        if number in _ENDING:
            self.halt()

    def ask(self, number: int) -> None:
        """See Client."""
        if self.group:
            super().ask(number)
        elif number in self.late and number in _ENDING:
            self.killed = number
        else:
            self.late.append(number)

    def deaf(self) -> None:
        """See Client."""
        self.unread = True
        self.halt()
        self.line.clear()
        if self.alive():
            self.ask(signal.SIGPIPE)
        for pid in self.running:
            self.post("close", pid=pid, fd=1)

    def written(self, fd: int, pieces: list[tuple[int, int]]) -> None:
        """See Client. Process 0 is who has been told already."""
        super().written(fd, [piece for piece in pieces if piece[0]])

    # Starting.

    def room(self) -> bool:
        """Whether another process may be started now."""
        if self.over or self.asked or self.refused or (self.starting and not self.running):
            return False
        many = len(self.running) + len(self.starting)
        waits = bool(self.again) or len(self.line) < self.most + WINDOW
        return waits and many < self.most and len(self.starting) < FLIGHT

    def fill(self) -> None:
        """Start what may be started."""
        if self.refused and not self.starting:
            self.shrink(self.refused)
        while self.room():
            try:
                text = self.items.take() if not self.again else ""
                if text is None:
                    return
                self.start(self.again.popleft() if self.again else Job(text))
            except Error as error:
                self.fatal(error)

    def start(self, job: Job) -> None:
        """Begin one; the first of a group alone, since it names the group."""
        if not self.alive():
            self.group = 0
        if job not in self.line:
            self.line.append(job)
        # `-` would be the process's standard input, which it has not.
        args = [*self._call["args"], agent.text(job.text if job.text != "-" else " -")]
        call = {**self._call, "args": args, "stdin": "null", "stdout": "client", "stderr": "client"}
        self.starting[self.conn.begin("run", pgid=-self.group, detach=False, **call)] = job

    def begun(self, number: int, job: Job) -> None:
        """What came of a start, if that is known."""
        try:
            answer = self.conn.take(number)
        except Error as error:
            del self.starting[number]
            self.unbegun(job, error)
            return
        if answer is None:
            return
        del self.starting[number]
        job.pid = int(answer[0]["pid"])
        self.running[job.pid] = job
        if self.unread:
            self.post("close", pid=job.pid, fd=1)
        if not self.group:
            self.group = -int(answer[0]["pgid"])
            late, self.late = self.late, []
            for each in late:
                self.ask(each)

    def unbegun(self, job: Job, error: Error) -> None:
        """A start was refused: for now when the session is full, or its group has just ended."""
        if self.over:
            self.line = deque(each for each in self.line if each is not job)
        elif error.code == "EAGAIN" or (error.code == "EPERM" and self.group):
            self.again.append(job)
            self.refused = error if error.code == "EAGAIN" else self.refused
        else:
            self.again.append(job)
            self.fatal(error)

    def shrink(self, error: Error) -> None:
        """No more processes were to be had: go on with as many as there are."""
        self.refused = None
        many = len(self.running)
        if not many:
            self.fatal(error)
        if self._elastic:
            self.width = max(1, many - max(1, many // 8))
            self._elastic = False
        self.most = max(1, min(many, self.width))

    def fatal(self, error: Error) -> None:
        """Nothing can be started any more."""
        if error.code == "EHOSTDOWN":
            raise error
        self.halt()
        self.status = error.status
        self.complain(error.detail)

    def halt(self) -> None:
        """Start no more."""
        self.over = True
        dropped = set(self.again)
        self.again.clear()
        self.line = deque(job for job in self.line if job not in dropped)

    # Answers.

    def take(self, pid: int, fd: int, body: bytes) -> None:
        """See Client: an answer is written when its turn has come, and held until then."""
        job = self.running.get(pid)
        if fd != 1 or job is None:
            super().take(pid, fd, body)
            return
        job.last = body[-1:] or job.last
        if job is self.speaker:
            super().take(pid, fd, body)
            return
        job.held += body
        if len(job.held) <= HELD:
            self.post("ack", pid=pid, fd=fd, n=len(body))
        else:
            job.owed += len(body)
            self.waits(job)

    def waits(self, job: Job) -> None:
        """Without order: it has ended, or has more to say than is held."""
        if not job.ready:
            job.ready = True
            self.full.append(job)

    def ended(self, ending: Ending, head: Head) -> None:
        """See Client."""
        job = self.running.pop(ending.pid)
        self.post("wait", pid=ending.pid)  # nobody else takes the zombie while we run
        self.stopped.discard(ending.pid)
        self.outlets[2].end(ending.pid)
        job.ended = True
        self.waits(job)
        self.most = min(self.width, self.most + 1)
        self.judge(ending)

    def judge(self, ending: Ending) -> None:
        """What the end of one means for all, as xargs(1) has it."""
        if not ending.code or self.unread or ending.signal in self.told:
            return
        status = KILLED if ending.signal else ABORTED if ending.status == 255 else FAILED
        if status != FAILED and not self.over:
            how = f"ended by {signals.name(ending.signal)}" if ending.signal else "ended with status 255"
            self.complain(
                f"{self._call['agent']}: {ending.pid}: {how}" + ("" if self.keep_going else "; no more start")
            )
            if not self.keep_going:
                self.halt()
        self.status = max(self.status, status)

    def speak(self) -> None:
        """Write answers, as far as their turn has come and the reader has taken what came before."""
        out = self.outlets[1]
        while not out.waiting and not out.closed:
            job = self.speaker or self.next()
            if job is None:
                return
            if job is not self.speaker:
                self.speaker = job
                taken = len(job.held) - job.owed
                out.put(0, bytes(job.held[:taken]))
                out.put(job.pid, bytes(job.held[taken:]))
                job.held.clear()
            elif job.ended:
                self.spoken(job)
            else:
                return

    def next(self) -> Job | None:
        """Whose turn it is, if it has anything to say."""
        if self.ordered:
            return self.line[0] if self.line and self.line[0].pid else None
        return self.full.popleft() if self.full else None

    def spoken(self, job: Job) -> None:
        """Its answer is out; it ends in a newline."""
        out = self.outlets[1]
        out.end(job.pid)
        if job.last not in (b"", b"\n"):
            out.put(0, b"\n")
        self.line.remove(job)
        self.speaker = None
