"""Total tokens a second of several requests at once, on all of the machine's cores: llmshd, which has measured
its rates first, against llama-server with as many slots as requests and as many threads as there are cores.

From the first request to the end of the last answer, prompts included; on both sides every token goes to the
client as it is made. Every prompt is another text.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from statistics import median

from bench import stats
from bench.daemon import Daemon, measured
from bench.overhead import Run
from bench.pairs import alternate
from bench.peer import Answer, LlamaServer
from bench.place import CELLS, Place
from bench.row import Row, judged
from llmsh.lib.conn import Connection

TARGETS = {1: 0.97, 2: 1.3, 4: 1.0, 8: 1.0, 16: 1.0, 32: 1.0}
"""What is asked for, by requests at once."""
TOKENS = 48
PAIRS = 6
TEXT = "{}. The harbour was quiet, and an old man counted the nets that had come in with the tide."


def ours(conn: Connection, count: int, first: int) -> float:
    """Tokens a second through llmshd."""
    began = time.perf_counter()
    runs = [Run(conn, TEXT.format(first + i), 1, TOKENS) for i in range(count)]
    pids = {pid for run in runs for pid in run.pids}
    # They are on one connection: whoever takes events takes them for all.
    taker = runs[0]
    taker.pids = sorted(pids)
    while len(taker.ended) < count:
        taker.until(taker.ended)
    return count * TOKENS / (time.perf_counter() - began)


def theirs(server: LlamaServer, count: int, first: int) -> float:
    """Tokens a second through llama-server."""

    def ask(number: int) -> Answer:
        return server.complete(TEXT.format(number), TOKENS, cache_prompt=False)

    began = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(ask, range(first, first + count)))
    took = time.perf_counter() - began
    assert all(answer.whole for answer in answers), [answer.fault for answer in answers]
    return count * TOKENS / took


def _pairs(place: Place, conn: Connection, server: LlamaServer, count: int) -> list[tuple[float, float]]:
    """Ours and theirs; what is cold has to be warm first, for which a short form takes one request."""
    first = 1000 * count
    warm = count if place.scale else 1
    ours(conn, warm, first)
    theirs(server, warm, first)
    return alternate(
        place.count(PAIRS),
        lambda i: ours(conn, count, first + (2 * i + 1) * count),
        lambda i: theirs(server, count, first + (2 * i + 2) * count),
    )


def rows(place: Place) -> Iterator[Row]:
    """A row for each number of requests."""
    cores = len(os.sched_getaffinity(0))
    options: dict[str, int | str] = {"cores": 0, "sequences": max(TARGETS), "calibrate": "true"}
    with Daemon(place.model, **options) as daemon, closing(daemon.connect()) as conn:
        conn.call("load", model=place.model)
        measured(conn)
        for count, target in TARGETS.items():
            with (
                tempfile.NamedTemporaryFile() as log,
                LlamaServer(place.model, cores, CELLS, count, log.file) as server,
            ):
                pairs = _pairs(place, conn, server, count)
            found = stats.ratio(*(list(side) for side in zip(*pairs, strict=True)))
            mine, other = (median(side) for side in zip(*pairs, strict=True))
            chosen = conn.call("lsdev", long=True)[0]["rows"][0]["rates"]["chosen"]
            name = f"total tokens/s / llama-server, {count} at once"
            value = f"{found.middle:.2f} [{found.low:.2f}, {found.high:.2f}], {mine:.1f} and {other:.1f}"
            data = {"ratio": found.record(), "llmshd": mine, "llama-server": other, "cores": cores, "tokens": TOKENS}
            data["chosen"] = chosen
            yield judged(name, f">= {target:g}", value, found.middle >= target, data)
