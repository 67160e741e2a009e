"""Kill latency: from sending KILL to its cells being free, for a process that is queued, in prefill of
a long prompt, and generating.

The caller sends kill(2) and check(2) in one go, then check(2) again and again without a pause, until
the kernel's books hold no cell more than without the process. A queued process holds none: for it the
time ends when ps(2) does not list it alive any more.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from bench import stats
from bench.daemon import Daemon
from bench.place import Place
from bench.row import Row, Skipped, judged
from llmsh.abi.signals import KILL
from llmsh.lib.conn import Connection

TARGET_MS = 150.0
PROMPT_TOKENS = 4000
SAMPLES = 50


class Victims:
    """Starts processes and kills them."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn

    def start(self, text: str) -> int:
        """A process that generates until it is killed."""
        params = {"raw": True, "ignore_eos": True, "temperature": 0.0}
        return int(self.conn.call("run", agent="plain", args=[text], params=params, stdout="null")[0]["pid"])

    def row(self, pid: int) -> dict[str, Any]:
        """Its line of ps; empty when it is not there."""
        rows = self.conn.call("ps", pids=[pid])[0]["rows"]
        return next((row for row in rows if row["pid"] == pid), {})

    def until(self, pid: int, field: str, least: int) -> None:
        """Wait until a number of its line of ps has grown so far."""
        while int((row := self.row(pid)).get(field, 0)) < least:
            if row.get("stat", "Z").startswith("Z"):
                raise Skipped("a prompt or an answer does not fit into this model's context")
            time.sleep(0.001)  # poll gently: this is not what is timed

    def kill(self, pid: int) -> None:
        """KILL, and reap it."""
        self.conn.call("kill", pid=pid, sig=KILL)
        self.conn.call("wait", pid=pid)

    def timed(self, pid: int) -> float:
        """Milliseconds from KILL to no cells in use; it must be the only process."""
        began = time.perf_counter()
        self.conn.post("kill", pid=pid, sig=KILL)
        while self.conn.call("check")[0]["cells"]:
            pass
        took = time.perf_counter() - began
        self.conn.call("wait", pid=pid)
        return took * 1000

    def timed_queued(self, pid: int) -> float:
        """Milliseconds from KILL to its being no live process."""
        began = time.perf_counter()
        self.conn.post("kill", pid=pid, sig=KILL)
        while self.row(pid).get("stat", "Z")[0] != "Z":
            pass
        took = time.perf_counter() - began
        self.conn.call("wait", pid=pid)
        return took * 1000


def queued(victims: Victims, samples: int) -> list[float]:
    """One that waits for its turn behind another; the daemon lets one run at a time."""
    first = victims.start("A")
    victims.until(first, "tokens_out", 1)
    out = []
    for _ in range(samples):
        pid = victims.start("B")
        victims.until(pid, "ctx", 1)
        assert not victims.row(pid)["rss"]
        out.append(victims.timed_queued(pid))
    victims.kill(first)
    return out


def prefill(victims: Victims, samples: int) -> list[float]:
    """One whose long prompt is being computed: at a random moment of its first second."""
    text, out = "7" * PROMPT_TOKENS, []
    for _ in range(samples):
        pid = victims.start(text)
        victims.until(pid, "rss", 1)
        time.sleep(random.random())
        if victims.row(pid)["tokens_out"]:
            raise Skipped(f"{PROMPT_TOKENS} tokens are computed within a second here")
        out.append(victims.timed(pid))
    return out


def generating(victims: Victims, samples: int) -> list[float]:
    """One that makes tokens: at a random moment of a step."""
    out = []
    for _ in range(samples):
        pid = victims.start("Once upon a time")
        victims.until(pid, "tokens_out", 3)
        time.sleep(random.random() * 0.03)
        out.append(victims.timed(pid))
    return out


def rows(place: Place) -> Iterator[Row]:
    """A row for each state."""
    options: dict[str, int | str] = {
        "threads": place.threads,
        "threads_batch": place.threads,
        "policy": "fcfs",
        "batch": 1,
    }
    with Daemon(place.model, **options) as daemon, closing(daemon.connect()) as conn:
        conn.call("load", model=place.model)
        victims = Victims(conn)
        prefilling = f"prefill of {PROMPT_TOKENS:,} tokens"
        for name, measure in (("queued", queued), (prefilling, prefill), ("generating", generating)):
            found = measure(victims, place.count(SAMPLES, 5))
            p50, p99, most = stats.percentile(found, 0.5), stats.percentile(found, 0.99), max(found)
            value = f"p50 {p50:.1f}, p99 {p99:.1f}, most {most:.1f} ms"
            data = {"p50_ms": p50, "p99_ms": p99, "most_ms": most, "samples": len(found)}
            yield judged(f"kill, {name}", f"p99 <= {TARGET_MS:g} ms", value, p99 <= TARGET_MS, data)
