"""One running process beside 14,000 idle cells of others: its rate, against its rate alone.

The others are chats that wait for their person. Two daemons with one core each take turns, one with the
chats and one without. Where the chats' cells are meanwhile, in the cache or saved outside, is the
kernel's decision, and reported.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from statistics import median

from bench import prose, stats
from bench.daemon import Daemon
from bench.jobs import Jobs, density, memory
from bench.overhead import TEXT, Run
from bench.pairs import alternate
from bench.place import Place, cores
from bench.row import Row, judged

CHATS, EACH = 14, 1000
CELLS = 16_384
TOKENS = 48
PAIRS = 20
TARGET = 0.95
UNIT = {"talk": 'kind = "chat"\ndescription = "a chat of the bench"\n'}


def rows(place: Place) -> Iterator[Row]:
    """One row."""
    draw = random.Random(CHATS)
    keys = place.keys(cores=1, cells=CELLS, threads=place.threads, threads_batch=cores())
    with ExitStack() as stack:
        daemons = [stack.enter_context(Daemon(place.model, UNIT, **keys)) for _ in range(2)]
        beside, alone = (stack.enter_context(closing(daemon.connect())) for daemon in daemons)
        sleepers = stack.enter_context(closing(daemons[0].connect()))
        for conn in (beside, alone):
            conn.call("load", model=place.model)
        jobs = Jobs(sleepers)
        words = density(beside)
        for _ in range(CHATS):
            chat = jobs.start("", 1, agent="talk", stdin="client", params={"raw": True})
            jobs.say(chat, prose.text(EACH, draw, words))
            jobs.settle([chat])
        idle = memory(beside)
        for conn in (beside, alone):
            Run(conn, TEXT, 1, TOKENS).rate()
        pairs = alternate(
            place.count(PAIRS),
            lambda _: Run(beside, TEXT, 1, TOKENS).rate(),
            lambda _: Run(alone, TEXT, 1, TOKENS).rate(),
        )
        after = memory(beside)
    mine, other = ([each[i] for each in pairs] for i in range(2))
    ratio = stats.ratio(mine, other)
    where = f"idle cells: {after['used']:,} in the cache, {after['swap']:,} saved"
    value = f"{ratio.shown()}, {median(mine):.1f} and {median(other):.1f}; {where}"
    data = {"ratio": ratio.record(), "beside": mine, "alone": other, "idle_before": idle, "idle_after": after}
    yield judged("tokens/s beside 14,000 idle cells / alone", f">= {TARGET:g}", value, ratio.middle >= TARGET, data)
