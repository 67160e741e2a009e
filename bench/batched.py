"""The limit: total tokens a second of llmshd against the best that llama.cpp's own llama-batched-bench finds.

It is run over its settings: 1 thread to as many as there are cores, one cache for all sequences or one each, cells
of its own type or of an engine's, and as many programs as cores, each pinned to its own with its part of the
sequences. Prompts and answers are as long as ours; of the settings the one with the best median counts. It serves
nobody: no text, no sampling, all start and end together.
Its program is BATCHED_BENCH=PATH, else it lies beside llama-server.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import product
from statistics import median

from bench import prose, stats
from bench.crowd import Crowd
from bench.daemon import Daemon, measured
from bench.jobs import Jobs
from bench.pairs import alternate
from bench.peer import AS_AN_ENGINE, find
from bench.place import CELLS, Place, cores
from bench.row import Row, Skipped, judged
from llmsh.engine import cachetype

SHORT_COUNTS, COUNTS = (1, 4), (1, 2, 4, 8, 16, 32)
PROMPT, TOKENS = 16, 48
PAIRS = 3
TARGET = 0.95
LIMIT_S = 300


def program() -> str:
    """llama-batched-bench. Raises Skipped."""
    given = os.environ.get("BATCHED_BENCH")
    server = find() if not given else ""
    # The server may be a script that sets something up; what it runs lies there too, or in a folder of its own.
    path = given or os.path.join(os.path.dirname(os.path.realpath(server)), "llama-batched-bench")
    if not os.access(path, os.X_OK):
        raise Skipped(f"{path}: cannot be run; BATCHED_BENCH=PATH names llama-batched-bench")
    return path


def rates(text: str) -> dict[int, float]:
    """Generated tokens a second, prompts' time included, by number of sequences: of its JSON lines."""
    found = {}
    for line in text.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            found[int(row["pl"])] = row["pl"] * row["tg"] / float(row["t"])
    return found


def limit(
    command: str, model: str, counts: Sequence[int], threads: int, *, unified: bool, kind: str = "f16", pin: int = -1
) -> dict[int, float]:
    """One run of it over all counts; pinned to a core when one is given."""
    words = [command, "-m", model, "-c", str(CELLS), "-npp", str(PROMPT), "-ntg", str(TOKENS)]
    words += ["-npl", ",".join(map(str, counts)), "-t", str(threads), "--output-format", "jsonl"]
    words += ["--cache-type-k", kind, "--cache-type-v", kind]
    words += ["--kv-unified"] if unified else ["--no-kv-unified"]
    start = f"import os; os.sched_setaffinity(0, [{pin}])\n{AS_AN_ENGINE}" if pin >= 0 else AS_AN_ENGINE
    done = subprocess.run(
        [sys.executable, "-c", start, *words], capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    found = rates(done.stdout)
    if not found:
        raise Skipped(f"llama-batched-bench ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return found


def pinned(command: str, model: str, counts: Sequence[int], kind: str) -> dict[int, float]:
    """One of it on each core, all at once, each with its part of the sequences: rates added up."""
    own = sorted(os.sched_getaffinity(0))
    parts = [count // len(own) for count in counts if count % len(own) == 0]
    if len(own) < 2 or not parts:
        return {}
    with Crowd(len(own)) as crowd:
        runs = list(crowd.map(lambda core: limit(command, model, parts, 1, unified=False, kind=kind, pin=core), own))
    return {part * len(own): sum(run.get(part, 0.0) for run in runs) for part in parts}


def theirs(command: str, model: str, counts: Sequence[int]) -> list[dict[int, float]]:
    """Each of its settings in turn, always in the same order."""
    kinds = sorted({"f16", cachetype.name()})
    settings = product(range(1, cores() + 1), (False, True), kinds)
    runs = [limit(command, model, counts, threads, unified=unified, kind=kind) for threads, unified, kind in settings]
    return runs + [pinned(command, model, counts, kind) for kind in kinds]


def best(rounds: Sequence[Sequence[dict[int, float]]], count: int) -> list[float]:
    """Of the setting with the highest median over all rounds, the rates in each: not those of the luckiest runs."""
    settings = [[run.get(count, 0.0) for run in runs] for runs in zip(*rounds, strict=True)]
    return max(settings, key=median)


def ours(jobs: Jobs, count: int, draw: random.Random) -> float:
    """Through llmshd."""
    started = [jobs.start(prose.text(PROMPT, draw), TOKENS) for _ in range(count)]
    jobs.all_ended(started)
    assert all(job.whole for job in started), [job.fault for job in started]
    return count * TOKENS / (max(job.ended for job in started) - started[0].began)


def rows(place: Place) -> Iterator[Row]:
    """A row for each number of requests."""
    command, draw = program(), random.Random(TOKENS)
    counts = COUNTS if place.scale else SHORT_COUNTS
    with Daemon(place.model, **place.keys(calibrate="true")) as daemon, closing(daemon.connect()) as conn:
        conn.call("load", model=place.model)
        measured(conn)
        jobs = Jobs(conn)
        for count in counts:
            ours(jobs, count, draw)
        pairs = alternate(
            place.count(PAIRS),
            lambda _: {count: ours(jobs, count, draw) for count in counts},
            lambda _: theirs(command, place.model, counts),
        )
    for count in counts:
        mine, other = [each[count] for each, _ in pairs], best([runs for _, runs in pairs], count)
        ratio = stats.ratio(mine, other)
        value = f"{ratio.shown()}, {median(mine):.1f} and {median(other):.1f}"
        data = {"ratio": ratio.record(), "llmshd": mine, "batched-bench": other, "tokens": TOKENS}
        title = f"total tokens/s / best of llama-batched-bench, {count} at once"
        yield judged(title, f">= {TARGET:g}", value, ratio.middle >= TARGET, data)
