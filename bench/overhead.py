"""Kernel overhead: tokens per second through llmshd against a bare loop over llama.cpp.

Both hold the same model in memory and take turns: same prompt, threads, sequences and number of
tokens, always the likeliest token, nothing ends early. Only the time in which every sequence is
generating counts: from when the last of them has its first token to when the first of them ends.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any, Self

from bench import stats
from bench.daemon import Daemon
from bench.place import CELLS, SEQUENCES, Place
from bench.row import Row, judged
from llmsh.lib.conn import Connection

TARGET = 0.97
COUNTS = (1, 4, 16)
PAIRS = 20
SAMPLE_S = 1.5
"""How long a sample is meant to take: longer ones see more of the machine's moods, not of ours."""
LEAST, MOST = 24, 192
"""Tokens of one sequence."""
TEXT = "Once upon a time"


class Bare:
    """bare.py in a process of its own."""

    def __init__(self, place: Place) -> None:
        command = [sys.executable, "-m", "bench.bare", "--model", place.model, "--threads", str(place.threads)]
        command += ["--cells", str(CELLS), "--sequences", str(SEQUENCES)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = int(self._line()["pid"])

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the bare loop ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def rate(self, sequences: int, tokens: int) -> float:
        """Tokens per second of all sequences together."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"text": TEXT, "sequences": sequences, "tokens": tokens}) + "\n")
        self._process.stdin.flush()
        return sequences * (tokens - 1) / float(self._line()["seconds"])


class Run:
    """Several processes started at once on one connection, and the tokens they make meanwhile."""

    def __init__(self, conn: Connection, text: str, sequences: int, tokens: int) -> None:
        self.conn = conn
        self.tokens = tokens
        params = {"raw": True, "ignore_eos": True, "temperature": 0.0, "max_tokens": tokens}
        calls = [conn.begin("run", agent="plain", args=[text], params=params) for _ in range(sequences)]
        self.pids = [int(conn.finish(each)[0]["pid"]) for each in calls]
        self.begun: set[int] = set()
        self.ended: set[int] = set()

    def until(self, done: set[int]) -> None:
        """Take events until this set (begun or ended) has grown, or all have ended."""
        size = len(done)
        while len(done) == size and len(self.ended) < len(self.pids):
            while self.conn.events and len(done) == size:
                self._event(*self.conn.events.popleft())
            if len(done) == size:
                assert self.conn.pump(), "the daemon went away"

    def _event(self, head: dict[str, Any], body: bytes) -> None:
        if head["ev"] == "out":
            if head["fd"] == 2:
                raise AssertionError(body.decode("utf-8", "replace"))
            self.begun.add(head["pid"])
            self.conn.post("ack", pid=head["pid"], fd=head["fd"], n=len(body))
        elif head["ev"] == "exit":
            assert head["status"] == 0, head
            self.ended.add(head["pid"])

    def made(self) -> int:
        """Tokens made so far by all."""
        rows = self.conn.call("ps", pids=self.pids)[0]["rows"]
        alive = {row["pid"]: int(row["tokens_out"]) for row in rows if row["pid"] in self.pids}
        return sum(self.tokens if pid in self.ended else alive.get(pid, self.tokens) for pid in self.pids)

    def rate(self) -> float:
        """Tokens per second while all of them generate."""
        while len(self.begun) < len(self.pids):
            self.until(self.begun)
        first, began = self.made(), time.perf_counter()
        self.until(self.ended)
        last, took = self.made(), time.perf_counter() - began
        while len(self.ended) < len(self.pids):
            self.until(self.ended)
        return (last - first) / took


def rows(place: Place) -> Iterator[Row]:
    """A row for each number of sequences."""
    with Daemon(place.model, threads=place.threads, threads_batch=place.threads) as daemon, Bare(place) as bare:
        conn = daemon.connect()
        conn.call("load", model=place.model)
        for count in COUNTS:
            # The first runs warm caches and teach the engine its rates.
            Run(conn, TEXT, count, LEAST).rate()
            tokens = min(MOST, max(LEAST, round(SAMPLE_S * bare.rate(count, LEAST) / count)))
            pairs: list[tuple[float, float]] = []
            for i in range(place.count(PAIRS)):
                first = bare.rate(count, tokens) if i % 2 else 0.0
                ours = Run(conn, TEXT, count, tokens).rate()
                pairs.append((ours, first or bare.rate(count, tokens)))
            found = stats.ratio([ours for ours, _ in pairs], [theirs for _, theirs in pairs])
            ours, theirs = (median(each) for each in zip(*pairs, strict=True))
            name = f"tokens/s, llmshd / bare loop, {count} sequence{'s' * (count > 1)}"
            value = f"{found.shown('.3f')}, {ours:.1f} and {theirs:.1f}"
            data = {"ratio": found.record(), "llmshd": ours, "bare": theirs, "threads": place.threads, "tokens": tokens}
            yield judged(name, f">= {TARGET:g}", value, found.middle >= TARGET, data)
        conn.close()
