"""A client in an OS session of its own: the person at a terminal, the neighbour who floods.

Shares go to sessions, and the foreground is a terminal's: so whoever is to be somebody else must be
another OS process. Orders are lines of JSON on its standard input, answers lines on its output. The
first half of this file is our side of that, the second runs as `python -m bench.guest [TERMINAL]`.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple, Self

from bench import arrivals
from bench.arrivals import Arrival
from bench.daemon import Daemon
from bench.jobs import Job, Jobs
from llmsh.abi.signals import KILL
from llmsh.lib.conn import Connection, dial


class Told(NamedTuple):
    """What a guest says of one run; times are perf_counter's, which is one clock for all."""

    began: float
    first: float
    ended: float
    tokens: int
    whole: bool


class Guest:
    """A guest of a daemon; a context manager. On a terminal of its own it is that terminal's foreground."""

    def __init__(self, daemon: Daemon, *, terminal: bool = False) -> None:
        self._ends: list[int] = []
        words = [sys.executable, "-m", "bench.guest"]
        if terminal:
            self._ends = list(os.openpty())
            words.append(os.ttyname(self._ends[1]))
        self._process = subprocess.Popen(
            words, env=daemon.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def __enter__(self) -> Self:
        assert self._line() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        for fd in self._ends:
            os.close(fd)

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the guest ended"
        return json.loads(line)

    def order(self, **order: Any) -> None:
        """Tell it to do something; `told` has the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def told(self) -> list[Told]:
        """The answer to `play` and `ask`."""
        return [Told(*each) for each in self._line()]

    def play(self, requests: Sequence[Arrival]) -> None:
        """Play open arrivals."""
        self.order(do="play", requests=[list(each) for each in requests])

    def ask(self, texts: Sequence[str], tokens: int) -> None:
        """One after the other, each when the one before has its answer."""
        self.order(do="ask", texts=list(texts), tokens=tokens)

    def flood(self, texts: Sequence[str], tokens: int) -> list[int]:
        """Start all of these, whose output nobody reads; their pids."""
        self.order(do="flood", texts=list(texts), tokens=tokens)
        return [int(pid) for pid in self._line()]

    def clear(self) -> None:
        """End what `flood` started."""
        self.order(do="clear")
        self._line()


def _tell(jobs: Sequence[Job]) -> list[list[Any]]:
    return [[job.began, job.first, job.ended, job.tokens, job.whole] for job in jobs]


class _Inside:
    """The guest's own side."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.jobs = Jobs(conn)
        self.flooding: list[Job] = []

    def do(self, order: dict[str, Any]) -> object:
        """One order."""
        if order["do"] == "play":
            return _tell(arrivals.ours(self.jobs, [Arrival(*each) for each in order["requests"]]))
        if order["do"] == "ask":
            asked = []
            for text in order["texts"]:
                asked.append(self.jobs.start(text, order["tokens"]))
                self.jobs.all_ended(asked)
            return _tell(asked)
        if order["do"] == "flood":
            self.flooding = [self.jobs.start(text, order["tokens"], stdout="null") for text in order["texts"]]
            self.jobs.until(lambda: all(job.pid or job.fault for job in self.flooding))
            return [job.pid for job in self.flooding]
        for job in self.flooding:
            self.conn.post("kill", pid=job.pid, sig=KILL)
        self.jobs.all_ended(self.flooding)
        return "clear"


def main() -> int:
    """Serve orders until the end of standard input."""
    # The first terminal that the leader of a session opens becomes the session's, with us before it.
    terminal = os.open(sys.argv[1], os.O_RDWR) if len(sys.argv) > 1 else -1
    with closing(dial()) as conn:
        inside = _Inside(conn)
        print(json.dumps("ready"), flush=True)
        buffer = b""
        while True:
            # What the daemon says between two orders is taken, or it would wait for us.
            ready = select.select([0, conn.fileno()], [], [])[0]
            if conn.fileno() in ready:
                inside.jobs.turn(0)
            if 0 in ready:
                data = os.read(0, 1 << 16)
                if not data:
                    break
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    print(json.dumps(inside.do(json.loads(line))), flush=True)
    if terminal >= 0:
        os.close(terminal)
    return 0


if __name__ == "__main__":
    sys.exit(main())
