"""Two clients: one keeps 40 processes busy. What does the other get, and how long does it wait?

Latency: a client asks one question after the other; its time to a whole answer beside the flood, against
that of being alone on a daemon with half of the machine's cores. Service: both clients always have processes
that wait, one 24 and one 40; the difference of what they received is held to the bound of the virtual token
counter, 2 * max(prompt, tokens under lease): Sheng et al., Fairness in Serving Large Language Models (OSDI
2024), theorem 4.4. A client with a single process never waits, so no bound is his; his share is reported.
Clients are OS sessions of their own; nothing is compared with a peer, which knows no clients.
"""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from statistics import median
from typing import Any

from bench import prose, stats
from bench.daemon import Daemon
from bench.guest import Guest
from bench.jobs import ENDLESS, density, made, ps
from bench.pairs import alternate
from bench.place import Place, cores
from bench.row import Row, judged
from llmsh.lib.conn import Connection

FLOOD, BACKLOG = 40, 24
SHORT_ASKED, ASKED = 6, 20
PROMPT, ANSWER = 20, 16
PAIRS = 5
TIMES = 2.0
SHORT_WINDOW_S, WINDOW_S = 10.0, 30.0
BEGIN_S = 10.0
BATCH, QUANTUM = 16, 16


def _texts(count: int, draw: random.Random, words: float) -> list[str]:
    return [prose.text(PROMPT, draw, words) for _ in range(count)]


def _begun(conn: Connection, pids: list[int]) -> None:
    """Wait until each has a token, for so long at most: the prompts are no part of a window."""
    until = time.monotonic() + BEGIN_S
    while any(not row["tokens_out"] for row in ps(conn, pids)) and time.monotonic() < until:
        time.sleep(0.05)


class Scene:
    """A daemon with all of the machine, one with half of it, and their guests."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self.draw = random.Random(FLOOD)
        half = max(1, cores() // 2)
        self.whole = stack.enter_context(Daemon(place.model, **place.keys(batch=BATCH, quantum=QUANTUM)))
        self.half = stack.enter_context(Daemon(place.model, **place.keys(cores=half, threads=1, threads_batch=half)))
        self.conns = [stack.enter_context(closing(daemon.connect())) for daemon in (self.whole, self.half)]
        for conn in self.conns:
            conn.call("load", model=place.model)
        self.words = density(self.conns[0])
        self.flooder, self.victim = (stack.enter_context(Guest(self.whole)) for _ in range(2))
        self.alone = stack.enter_context(Guest(self.half))

    def latency(self, guest: Guest, count: int) -> float:
        """Median seconds to a whole answer."""
        guest.ask(_texts(count, self.draw, self.words), ANSWER)
        return median(each.ended - each.began for each in guest.told())

    def beside(self, count: int) -> float:
        """The same while the other floods."""
        pids = self.flooder.flood(_texts(FLOOD, self.draw, self.words), ENDLESS)
        _begun(self.conns[0], pids[:BATCH])
        found = self.latency(self.victim, count)
        self.flooder.clear()
        return found

    def shares(self, count: int, seconds: float) -> tuple[int, int]:
        """Tokens that so many processes of one client and the 40 of the other made in a window."""
        few, many = (
            self.victim.flood(_texts(count, self.draw, self.words), ENDLESS),
            self.flooder.flood(_texts(FLOOD, self.draw, self.words), ENDLESS),
        )
        conn = self.conns[0]
        _begun(conn, [*few, *many])
        before = made(conn, few), made(conn, many)
        time.sleep(seconds)
        after = made(conn, few), made(conn, many)
        for guest in (self.victim, self.flooder):
            guest.clear()
        return after[0] - before[0], after[1] - before[1]


def rows(place: Place) -> Iterator[Row]:
    """Latency, then service."""
    count, seconds = place.pick(SHORT_ASKED, ASKED), SHORT_WINDOW_S if not place.scale else WINDOW_S
    with ExitStack() as stack:
        scene = Scene(place, stack)
        for guest in (scene.alone, scene.victim):
            scene.latency(guest, 1)
        pairs = alternate(
            place.count(PAIRS), lambda _: scene.beside(count), lambda _: scene.latency(scene.alone, count)
        )
        mine, other = ([each[i] for each in pairs] for i in range(2))
        ratio = stats.ratio(mine, other)
        value = f"{ratio.shown()}, {1000 * median(mine):.0f} and {1000 * median(other):.0f} ms"
        data: dict[str, Any] = {"ratio": ratio.record(), "beside_s": mine, "alone_on_half_s": other, "flood": FLOOD}
        title = f"flood of {FLOOD}: latency beside it / alone on half the machine"
        yield judged(title, f"<= {TIMES:g}", value, ratio.middle <= TIMES, data)
        leased = BATCH * QUANTUM * int(scene.conns[0].call("lsdev")[0]["rows"][0]["cores"])
        for few, bound in ((BACKLOG, 2 * max(PROMPT, leased)), (1, 0)):
            yield _service(few, bound, [scene.shares(few, seconds) for _ in range(place.count(PAIRS))], seconds)


def _service(few: int, bound: int, windows: list[tuple[int, int]], seconds: float) -> Row:
    gap = median(abs(a - b) for a, b in windows)
    share = stats.estimate([a / max(1, a + b) for a, b in windows])
    data = {"measured": gap, "bound": bound, "share": share.record(), "windows": windows, "window_s": seconds}
    value = f"{gap:.0f} tokens apart in {seconds:g} s, share {share.shown()}"
    title = f"flood of {FLOOD}: service of a client with {few} process{'es' * (few > 1)}"
    return judged(title, f"<= {bound}" if bound else "", value, gap <= bound, data)
