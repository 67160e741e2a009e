"""Sixteen agents of one unit with a system prompt of 1,000 tokens: time until all have their first token,
and the cells that they take.

Both sides are fresh at each pair: a daemon and a llama-server that have seen nothing, 16 slots, room for 16
copies. The system prompt is new too. Cells are counted when all generate: one copy a core that runs them,
and each agent's own tokens, is what they need.
"""

import random
import tempfile
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import Any, NamedTuple

from bench import prose, stats
from bench.crowd import Crowd
from bench.daemon import Daemon, measured
from bench.jobs import Jobs, density, memory, ps
from bench.pairs import alternate
from bench.peer import LlamaServer
from bench.place import Place, cores
from bench.row import Row, judged
from llmsh.abi.signals import KILL

AGENTS, OWN = 16, 12
SHORT_SYSTEM, SYSTEM = 500, 1000
"""Tokens of the system prompt: half as many in the short form, of which the peer computes sixteen copies."""
CELLS = 20_480
PAIRS = 5
FASTER, CELLS_TIMES = 4.0, 1.1
ANSWER = 64


class Ours(NamedTuple):
    """One run of ours."""

    seconds: float
    used: int
    wanted: int
    """One copy a core, and the rest."""
    shared: int


def ours(place: Place, tokens: int, system: str, texts: list[str]) -> Ours:
    """In a fresh daemon; `tokens`: of the system prompt."""
    unit = f'kind = "prompt"\ndescription = "of the bench"\nraw = true\nsystem = "{system}"\n'
    with (
        Daemon(place.model, {"many": unit}, **place.keys(cells=CELLS, calibrate="true")) as daemon,
        closing(daemon.connect()) as conn,
    ):
        conn.call("load", model=place.model)
        measured(conn)
        jobs = Jobs(conn)
        started = [jobs.start(text, ANSWER, agent="many") for text in texts]
        jobs.until(lambda: all(job.first or job.ended for job in started))
        assert all(job.first for job in started), [job.fault for job in started]
        took = max(job.first for job in started) - started[0].began
        rows = [row for row in ps(conn, [job.pid for job in started]) if row["rss"]]
        highest, shared = int(conn.call("vmstat")[0]["highest"]), memory(conn)["shared"]
        for job in started:
            conn.post("kill", pid=job.pid, sig=KILL)
        jobs.all_ended(started)
    copies = len({row["core"] for row in rows})
    rest = sum(max(0, int(row["ctx"]) - tokens) for row in rows)
    # As the engine has them: what is reserved for tokens to come is not used yet.
    return Ours(took, highest, copies * tokens + rest, shared)


def theirs(place: Place, system: str, texts: list[str]) -> float:
    """In a fresh server: seconds until all have a first token."""
    with (
        tempfile.NamedTemporaryFile() as log,
        LlamaServer(place.model, cores(), CELLS, AGENTS, log.file) as server,
        Crowd(AGENTS) as pool,
    ):
        done = list(pool.map(lambda text: server.complete(f"{system}\n{text}", 4), texts))
        assert all(each.whole for each in done), [each.fault for each in done]
        return max(each.first for each in done) - min(each.began for each in done)


def rows(place: Place) -> Iterator[Row]:
    """Time, then cells."""
    draw, tokens = random.Random(AGENTS), place.pick(SHORT_SYSTEM, SYSTEM)
    with Daemon(place.model, **place.keys()) as daemon, closing(daemon.connect()) as conn:
        words = density(conn)

    def system(number: int) -> str:
        return prose.text(tokens, random.Random(number), words)

    texts = [prose.text(OWN, draw, words) for _ in range(AGENTS)]
    pairs = alternate(
        place.count(PAIRS), lambda n: ours(place, tokens, system(n), texts), lambda n: theirs(place, system(n), texts)
    )
    mine, other = [a for a, _ in pairs], [b for _, b in pairs]
    ratio = stats.ratio(other, [each.seconds for each in mine])
    value = f"{ratio.shown()}, {median(each.seconds for each in mine):.2f} and {median(other):.2f} s"
    runs = [each._asdict() for each in mine]
    data: dict[str, Any] = {"ratio": ratio.record(), "llmshd": runs, "llama-server_s": other}
    title = f"{AGENTS} agents, {tokens:,} tokens shared: all first tokens, llama-server cold / llmshd"
    yield judged(title, f">= {FASTER:g}", value, ratio.middle >= FASTER, data)
    cells = stats.ratio([each.used for each in mine], [each.wanted for each in mine])
    value = f"{cells.shown()}, {mine[-1].used:,} used, {mine[-1].wanted:,} are one copy a core and the rest"
    title = f"{AGENTS} agents, {tokens:,} tokens shared: cells"
    data = {"ratio": cells.record(), "llmshd": runs}
    yield judged(title, f"<= {CELLS_TIMES:g}", value, cells.middle <= CELLS_TIMES, data)
