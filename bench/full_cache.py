"""Demand above the cache: 12 chats of 600 tokens at once in 2,048 cells. How many finish?

A chat is a prompt of 500 tokens and an answer of 100; it has finished when all of its answer came,
nothing of it cut off, and no error. llama-server gets the same cache in each of the ways it can deal it
out: among 12 or 4 slots, each slot its share (its default) or all slots from one pool.
"""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from bench import prose
from bench.crowd import Crowd
from bench.daemon import Daemon
from bench.jobs import Jobs
from bench.peer import Answer, LlamaServer
from bench.place import Place, cores
from bench.row import NOTE, Row, judged

CHATS, CELLS = 12, 2048
PROMPT, ANSWER = 500, 100
PEERS = ((12, False), (4, False), (12, True), (4, True))
"""Slots, and whether they share one pool. The first two, its defaults, are the short form's."""
SHORT_PEERS = 2


def ours(place: Place, texts: Sequence[str]) -> tuple[int, float, list[str]]:
    """How many finish, seconds for all, and what was wrong with the others."""
    with Daemon(place.model, **place.keys(cores=1, cells=CELLS)) as daemon, closing(daemon.connect()) as conn:
        conn.call("load", model=place.model)
        jobs = Jobs(conn)
        began = time.perf_counter()
        started = [jobs.start(text, ANSWER) for text in texts]
        jobs.all_ended(started)
        took = time.perf_counter() - began
    return sum(job.whole for job in started), took, sorted({job.fault for job in started if not job.whole})


def theirs(server: LlamaServer, texts: Sequence[str]) -> list[Answer]:
    """All at once."""
    with Crowd(len(texts)) as pool:
        return list(pool.map(lambda text: server.complete(text, ANSWER), texts))


def _chat(server: LlamaServer, draw: random.Random) -> str:
    return prose.exact(PROMPT, draw, lambda text: len(server.tokens(text)))


def rows(place: Place) -> Iterator[Row]:
    """Ours, then each way of the other."""
    draw = random.Random(CHATS)
    texts: list[str] = []
    for number, (slots, unified) in enumerate(PEERS[: place.pick(SHORT_PEERS, len(PEERS))]):
        with (
            tempfile.NamedTemporaryFile() as log,
            LlamaServer(place.model, cores(), CELLS, slots, log.file, unified=unified) as server,
        ):
            if not number:
                texts = [_chat(server, draw) for _ in range(CHATS)]
            answers = theirs(server, texts)
        took = max(each.ended for each in answers) - min(each.began for each in answers)
        faults = sorted({each.fault for each in answers if each.fault})
        done = sum(each.whole for each in answers)
        how = "one pool" if unified else "a share each"
        data = {"finished": done, "chats": CHATS, "seconds": took, "faults": faults}
        value = f"{done} of {CHATS} in {took:.0f} s" + (f"; {faults[0][:90]}" if faults else "")
        yield Row(f"full cache, llama-server, {slots} slots, {how}", "", value, NOTE, data)
    done, took, faults = ours(place, texts)
    data = {"measured": done, "finished": done, "chats": CHATS, "seconds": took, "faults": faults}
    value = f"{done} of {CHATS} in {took:.0f} s" + (f"; {faults[0][:90]}" if faults else "")
    yield judged(f"full cache, llmshd, {CELLS:,} cells", f">= {CHATS}", value, done == CHATS, data)
