"""Fork of a running process with a context of 1,000 tokens, eight ways, through the call.

Milliseconds of a call from its frame to its answer, one after the other, the journal's commit included; then how
long the first child takes to its first token, in the times between the tokens that follow: the steps that it shares
with its parent and its brothers.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median

from bench import prose, stats
from bench.daemon import Daemon
from bench.jobs import ENDLESS, Job, Jobs, density, memory
from bench.place import Place
from bench.row import Row, judged
from llmsh.abi.signals import KILL
from llmsh.lib import calls
from llmsh.lib.conn import Connection

CONTEXT, WAYS = 1000, 8
ROUNDS = 20
TOKENS = 16
TARGET_MS = 5.0


def _outputs(conn: Connection, pid: int, count: int) -> float:
    """When the process has said something so many times."""
    while count:
        while not conn.events:
            assert conn.pump(), "the daemon went away"
        head, body = conn.events.popleft()
        if head["ev"] == "out":
            conn.post("ack", pid=head["pid"], fd=head["fd"], n=len(body))
            count -= head["pid"] == pid
    return time.perf_counter()


def _round(conn: Connection, jobs: Jobs, parent: Job) -> tuple[list[float], int, float]:
    """Milliseconds of each fork, cells more after all, and the first child's first token in those that follow."""
    _outputs(conn, parent.pid, TOKENS)
    before = memory(conn)["used"]
    took, children = [], []
    for _ in range(WAYS):
        began = time.perf_counter()
        children.append(calls.fork(conn, parent.pid)[0])
        took.append((time.perf_counter() - began) * 1000)
    grown = memory(conn)["used"] - before
    first = _outputs(conn, children[0], 1)
    gap = (_outputs(conn, children[0], TOKENS) - first) / TOKENS
    for pid in (parent.pid, *children):
        conn.call("kill", pid=pid, sig=KILL)
    jobs.all_ended([parent])
    return took, grown, (first - began) / gap


def rows(place: Place) -> Iterator[Row]:
    """The calls, then the first token."""
    took: list[float] = []
    grown: list[int] = []
    first: list[float] = []
    keys = place.keys(cores=1, threads=place.threads)
    with Daemon(place.model, **keys) as daemon, closing(daemon.connect()) as conn:
        conn.call("load", model=place.model)
        words = density(conn)
        for number in range(place.count(ROUNDS, 3)):
            jobs = Jobs(conn)
            parent = jobs.start(prose.text(CONTEXT, random.Random(number), words), ENDLESS)
            jobs.until(lambda job=parent: job.first > 0)  # type: ignore[misc]  # mypy infers no type of a default
            each, more, wait = _round(conn, jobs, parent)
            took += each
            grown.append(more)
            first.append(wait)
    found = stats.estimate(took)
    value = f"{found.shown()} ms a fork; {median(grown):.0f} cells more after {WAYS}"
    data = {"ms": took, "cells": grown}
    title = f"fork of {CONTEXT:,} tokens, {WAYS} ways"
    yield judged(title, f"<= {TARGET_MS:g} ms", value, found.middle <= TARGET_MS, data)
    steps = stats.estimate(first)
    value = f"{steps.shown()} times between two of its tokens"
    yield judged("fork: a child's first token", "<= 2", value, steps.middle <= 2, {"steps": first})
