"""A thousand sleeping agents: what each costs in memory beyond its image, and how soon one is awake.

Chats of one unit: 200 tokens of system prompt shared, 64 of their own, an answer of one token, then they wait
for their person. Memory is that of daemon and engine (VmRSS) less the images they hold, between the first
half of the agents and all of them: by then the cache is full and what is one-time is paid. Then some are
woken at random, one after the other: from the line typed to the first byte of the answer.
"""

import random
from collections.abc import Iterator
from contextlib import closing

from bench import prose, stats
from bench.daemon import Daemon
from bench.jobs import Job, Jobs, density, memory
from bench.place import Place, resident
from bench.row import Row, judged
from llmsh.lib.conn import Connection

SHORT_AGENTS, AGENTS = 100, 1000
SHORT_WOKEN, WOKEN = 25, 200
SYSTEM, OWN, LINE = 200, 64, 8
CELLS = 4096
KB_EACH, P99_S = 20.0, 1.0


def _memory(daemon: Daemon, conn: Connection) -> tuple[int, int]:
    """Bytes of both processes, and of the images."""
    engines = [int(row["pid"]) for row in conn.call("lsdev")[0]["rows"]]
    return sum(resident(pid) for pid in [daemon.pid, *engines]), memory(conn)["swap_bytes"]


def rows(place: Place) -> Iterator[Row]:
    """Memory, then waking."""
    draw = random.Random(AGENTS)
    count, woken = place.pick(SHORT_AGENTS, AGENTS), place.pick(SHORT_WOKEN, WOKEN)
    with Daemon(place.model, **place.keys()) as daemon, closing(daemon.connect()) as conn:
        words = density(conn)
    unit = f'kind = "chat"\ndescription = "a sleeper of the bench"\nsystem = "{prose.text(SYSTEM, draw, words)}"\n'
    with (
        Daemon(place.model, {"sleeper": unit}, **place.keys(cells=CELLS)) as daemon,
        closing(daemon.connect()) as conn,
    ):
        conn.call("load", model=place.model)
        jobs = Jobs(conn)
        agents: list[Job] = []
        marks: list[tuple[int, int]] = []
        for upto in (count // 2, count):
            while len(agents) < upto:
                batch = [jobs.start("", 1, agent="sleeper", stdin="client") for _ in range(min(50, upto - len(agents)))]
                for agent in batch:
                    jobs.say(agent, prose.text(OWN, draw, words))
                jobs.settle(batch)
                agents += batch
            marks.append(_memory(daemon, conn))
        held = memory(conn)
        took = []
        for agent in draw.sample(agents, woken):
            jobs.say(agent, prose.text(LINE, draw, words))
            jobs.settle([agent])
            took.append(agent.first - agent.began)
    added = count - count // 2
    grown, images = (marks[1][i] - marks[0][i] for i in range(2))
    each = (grown - images) / added / 1000
    value = f"{each:.1f} KB an agent, {count:,} agents; {held['used']:,} cells in the cache, {held['swap']:,} saved"
    data = {"measured": each, "agents": count, "marks": marks, "free": held}
    yield judged(
        f"{SYSTEM}+{OWN} tokens asleep: memory beyond images", f"<= {KB_EACH:g} KB", value, each <= KB_EACH, data
    )
    p50, p99 = stats.percentile(took, 0.5), stats.percentile(took, 0.99)
    value = f"p50 {p50:.3f}, p99 {p99:.3f} s, {woken} woken of {count:,}"
    data = {"measured": p99, "p50_s": p50, "p99_s": p99, "took_s": took, "agents": count}
    yield judged("sleepers: woken to first token, p99", f"< {P99_S:g} s", value, p99 < P99_S, data)
