"""A switch: 1,000 tokens out of the cells and in again, by way of memory and of the swap file, against computing them.

An engine is told what the kernel tells it: SAVE and LOAD; SAVE, TRANSFER both ways and LOAD, the write synced and its
pages dropped by the engine, which is checked: the read must come from the disk (read_bytes of proc_pid_io(5)). Then
what a person notices: three sleeping chats in the cells of one are woken in turn, on three daemons of which one keeps
images in memory, one in the file, and one has no room for any.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from statistics import median

from bench import prose, stats
from bench.daemon import Daemon
from bench.engine import Engine
from bench.jobs import Job, Jobs, density
from bench.place import Place
from bench.row import Row, Skipped, judged
from llmsh.abi import lease

TOKENS = 1000
ROUNDS, WAKES = 12, 6
MEMORY, FILE = 300.0, 30.0
FOLDER = "build"
"""Where the swap file is: results are written there, too; /tmp may be no disk."""
CHATS, SHORT_SLEEPER, ROOM = 3, 300, 1.6
"""Sleepers; their tokens in the short form, else TOKENS; cells in parts of one of them: it and its answers."""
WAYS = {"memory": (0, 0), "file": (1, 1 << 30), "computed": (1, 0)}
"""Bytes of images in memory (0: no bound) and in the file."""
UNIT = {"talk": 'kind = "chat"\ndescription = "a chat of the bench"\n'}


def _from_disk(pid: int) -> int:
    """Bytes that a process has caused to be read from a disk."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("read_bytes:"))


def _memory(engine: Engine, q: int) -> float:
    out, _ = engine.operation(partial(lease.Save, q))
    back, _ = engine.operation(partial(lease.Load, q))
    return out + back


def _file(engine: Engine, q: int) -> list[float]:
    """SAVE, the write, the read, LOAD."""
    save, done = engine.operation(partial(lease.Save, q))
    write, _ = engine.operation(lambda op: lease.Transfer(op, True, 0, [q]))
    before = _from_disk(engine.pid)
    read, _ = engine.operation(lambda op: lease.Transfer(op, False, 0, [q]))
    if _from_disk(engine.pid) - before < done.size * 0.9:
        raise Skipped(f"the swap file in {FOLDER}/ was read from memory: it is on no disk")
    load, _ = engine.operation(partial(lease.Load, q))
    return [save, write, read, load]


def _engine(place: Place, folder: str) -> Iterator[Row]:
    draw = random.Random(TOKENS)
    memory: list[float] = []
    file: list[list[float]] = []
    computed: list[float] = []
    with Engine(place.model, place.threads, folder) as engine:
        some = range(engine.facts.vocab // 4, engine.facts.vocab // 2)
        for q in range(1, place.count(ROUNDS) + 1):
            computed.append(engine.compute(q, draw.choices(some, k=TOKENS + 1)))
            memory.append(_memory(engine, q))
            file.append(_file(engine, q))
            engine.operation(partial(lease.Drop, q))
        size = TOKENS * engine.facts.cell_bytes
    again = f"{median(computed):,.0f} ms computed, {size / 1e6:.0f} MB"
    ratio = stats.ratio(computed, memory)
    value = f"{ratio.shown('.0f')}, {median(memory):.1f} ms and {again}"
    data = {"ratio": ratio.record(), "memory_ms": memory, "computed_ms": computed}
    title = f"{TOKENS:,} tokens computed / out and in, memory"
    yield judged(title, f">= {MEMORY:g}", value, ratio.middle >= MEMORY, data)
    ratio = stats.ratio(computed, [sum(each) for each in file])
    parts = " + ".join(f"{median(part):.1f}" for part in zip(*file, strict=True))
    value = f"{ratio.shown('.0f')}, {parts} ms (save, write, read, load) and {again}"
    data = {"ratio": ratio.record(), "file_ms": file, "computed_ms": computed}
    yield judged(f"{TOKENS:,} tokens computed / out and in, file", f">= {FILE:g}", value, ratio.middle >= FILE, data)


def _wake(jobs: Jobs, chat: Job, draw: random.Random) -> float:
    """Seconds from a line to the first byte of the answer."""
    jobs.say(chat, prose.text(4, draw))
    jobs.settle([chat])
    return chat.first - chat.began


def _daemons(place: Place) -> Iterator[Row]:
    draw, tokens = random.Random(CHATS), place.pick(SHORT_SLEEPER, TOKENS)
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        sides: list[tuple[str, Jobs, list[Job]]] = []
        for way, (memory, file) in WAYS.items():
            keys = place.keys(
                cores=1, cells=round(ROOM * tokens), threads=place.threads, swap_memory=memory, swap_file=file
            )
            daemon = stack.enter_context(Daemon(place.model, UNIT, **keys))
            conn = stack.enter_context(closing(daemon.connect()))
            conn.call("load", model=place.model)
            sides.append((way, Jobs(conn), []))
        words = density(sides[0][1].conn)
        for number in range(CHATS):
            for _, jobs, chats in sides:  # all at once: this is not measured
                chats.append(jobs.start("", 1, agent="talk", stdin="client", params={"raw": True}))
                jobs.say(chats[number], prose.text(tokens, draw, words))
            for _, jobs, chats in sides:
                jobs.settle(chats[number:])
        for number in range(place.count(WAKES)):
            for way, jobs, chats in sides:
                took[way].append(_wake(jobs, chats[number % CHATS], draw))
    for way in ("memory", "file"):
        ratio = stats.ratio(took["computed"], took[way])
        value = f"{ratio.shown('.1f')}, {median(took[way]):.3f} and {median(took['computed']):.3f} s"
        data = {"ratio": ratio.record(), "took_s": took[way], "computed_s": took["computed"]}
        yield judged(f"a sleeper's first byte, computed / from {way}", "", value, True, data)


def rows(place: Place) -> Iterator[Row]:
    """Memory and file in an engine, then both through the daemon."""
    os.makedirs(FOLDER, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="llmsh-bench-", dir=FOLDER)
    try:
        yield from _engine(place, os.path.abspath(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from _daemons(place)
