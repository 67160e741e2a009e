"""Runs over one connection as the bench drives them: started without waiting, each with the times of its
first byte and of its end, and fed with lines where it is a chat.

It judges nothing and knows no row.
"""

import random
import select
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench import prose
from bench.row import Skipped
from llmsh.abi.errors import Error
from llmsh.abi.signals import KILL
from llmsh.lib.conn import Connection

ENDLESS = 1 << 20
"""Tokens that nobody waits for."""
PATIENCE_S = 600.0
"""Silence of the daemon after which a measurement is given up."""


class Job:
    """One process. Times are perf_counter's, 0 until it happened; that clock is one for all OS processes."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.pid = 0
        self.began = self.first = self.ended = 0.0
        self.status = -1
        self.fault = ""
        """What it said on standard error, or why it was not started."""
        self.input = b""
        self.wanted = 0
        """Bytes that it waits for; a chat that waits with nothing left to say sleeps."""

    @property
    def whole(self) -> bool:
        """Whether it ended as it should."""
        return self.ended > 0 and self.status == 0 and not self.fault

    @property
    def asleep(self) -> bool:
        """Whether it has answered and waits for its person, or is gone."""
        return (self.first > 0 and self.wanted > 0 and not self.input) or self.ended > 0


class Jobs:
    """The processes of one connection."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._asked: dict[int, Job] = {}
        self._live: dict[int, Job] = {}

    def start(self, text: str, tokens: int, agent: str = "plain", **args: Any) -> Job:
        """A run of so many tokens, whatever the model would end with; `pid` comes with the reply."""
        params = {"ignore_eos": True, "temperature": 0.0, "max_tokens": tokens, **args.pop("params", {})}
        if agent == "plain":
            params["raw"] = True
        job = Job(tokens)
        job.began = time.perf_counter()
        texts = [text] if text else []
        self._asked[self.conn.begin("run", agent=agent, args=texts, params=params, **args)] = job
        return job

    def say(self, job: Job, line: str) -> None:
        """A line to a chat: its clock starts anew."""
        job.input += f"{line}\n".encode()
        job.began, job.first = time.perf_counter(), 0.0
        self._feed(job)

    def _feed(self, job: Job) -> None:
        if job.wanted and job.input:
            part, job.input = job.input[: job.wanted], job.input[job.wanted :]
            job.wanted = 0
            self.conn.post("write", part, pid=job.pid, fd=0)

    def turn(self, wait: float = PATIENCE_S) -> bool:
        """Take what has come, waiting so long for something. False when nothing came."""
        # Calls between two turns may have received events already.
        if not self.conn.events:
            if not select.select([self.conn], [], [], max(0.0, wait))[0]:
                return False
            assert self.conn.pump(), "the daemon went away"
        self._replies()
        while self.conn.events:
            self._event(*self.conn.events.popleft())
        return True

    def _replies(self) -> None:
        for number, job in list(self._asked.items()):
            try:
                reply = self.conn.take(number)
            except Error as error:
                job.ended, job.fault = time.perf_counter(), str(error)
                del self._asked[number]
                continue
            if reply is not None:
                job.pid = int(reply[0]["pid"])
                self._live[job.pid] = job
                del self._asked[number]

    def _event(self, head: dict[str, Any], body: bytes) -> None:
        job = self._live.get(head.get("pid", 0))
        if job is None:
            return
        if head["ev"] == "out":
            if head["fd"] == 2:
                job.fault += body.decode("utf-8", "replace").strip()
            else:
                job.first = job.first or time.perf_counter()
                # A `want` may be said twice: only one that follows the output means that the answer is over.
                job.wanted = 0
            self.conn.post("ack", pid=job.pid, fd=head["fd"], n=len(body))
        elif head["ev"] == "want":
            job.wanted = int(head["n"])
            self._feed(job)
        elif head["ev"] == "exit":
            job.ended, job.status = time.perf_counter(), int(head["status"])
            del self._live[job.pid]

    def until(self, done: Callable[[], bool]) -> None:
        """Take what comes until something holds."""
        while not done():
            assert self.turn(), f"nothing came from the daemon for {PATIENCE_S:g} s"

    def all_ended(self, jobs: Sequence[Job]) -> None:
        """Wait for the ends of these."""
        left = list(jobs)

        def done() -> bool:
            left[:] = [job for job in left if not job.ended]
            return not left

        self.until(done)

    def settle(self, chats: Sequence[Job]) -> None:
        """Wait until these have answered what was said, and wait for their person."""
        self.until(lambda: all(chat.asleep for chat in chats))
        failed = [chat.fault or f"status {chat.status}" for chat in chats if chat.ended]
        assert not failed, f"{len(failed)} of {len(chats)} ended: {failed[0]}"


def density(conn: Connection, model: str = "") -> float:
    """Tokens of a word of prose, by this model."""
    jobs, words = Jobs(conn), 64
    job = jobs.start(prose.text(words, random.Random(words)), ENDLESS, stdout="null", model=model)
    jobs.until(lambda: bool(job.pid or job.fault))
    while not job.fault:
        (row,) = ps(conn, [job.pid])
        if row["tokens_out"]:
            break
        time.sleep(0.01)
    assert not job.fault, job.fault
    conn.post("kill", pid=job.pid, sig=KILL)
    jobs.all_ended([job])
    return (int(row["ctx"]) - int(row["tokens_out"])) / words


def ps(conn: Connection, pids: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of these processes, all pages."""
    rows: list[dict[str, Any]] = []
    for at in range(0, len(pids), 32):
        part = list(pids[at : at + 32])
        rows += [row for row in conn.call("ps", pids=part)[0]["rows"] if row["pid"] in part]
    return rows


def made(conn: Connection, pids: Sequence[int]) -> int:
    """Tokens that these processes have generated so far. Raises Skipped when one has ended: its context is full."""
    rows = [row for row in ps(conn, pids) if not row["stat"].startswith("Z")]
    if len(rows) < len(pids):
        raise Skipped("this model fills its context before a window ends: a model with a longer one says more")
    return sum(int(row["tokens_out"]) for row in rows)


def memory(conn: Connection) -> dict[str, int]:
    """What free(2) says of all devices together: `used`, `swap_bytes` and the others."""
    total: dict[str, int] = {}
    for row in conn.call("free")[0]["rows"]:
        for name, value in row.items():
            if isinstance(value, int):
                total[name] = total.get(name, 0) + value
    return total
