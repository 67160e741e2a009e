"""Two models, both busy: what each keeps of its rate alone, and whether nice deals the machine among them.

The second model is MODEL2, else the first one again under another name: another engine with weights of its
own. Each has the same number of endless processes; rates are tokens in a window. The sum of rate over rate
alone is asked for, and then, with the second at nice 5, the ratio of the two against the ratio of weights. For that
a rate counts against the model's own with both at nice 0: there the two are measured at the same time, as here. Rates
alone are of other moments, and on a machine that others use one of two copies of a model was half as fast again.
"""

import os
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from statistics import median
from typing import Any

from bench import prose, stats
from bench.daemon import Daemon
from bench.jobs import ENDLESS, Jobs, made
from bench.place import Place, cores
from bench.row import Row, Skipped, judged
from llmsh.abi import paths
from llmsh.abi.nice import weight
from llmsh.abi.signals import KILL

EACH = max(2, min(cores(), 16))
"""Processes of a model: enough to keep every core busy alone."""
SHORT_WINDOW_S, WINDOW_S = 8.0, 20.0
PAIRS = 5
SUM, WITHIN = 0.9, 0.15
NICE = 5
PROMPT = 12


def second(model: str, folder: str) -> str:
    """Another model's file: MODEL2, or a copy."""
    given = os.environ.get("MODEL2")
    if given:
        path = paths.model_file(given)
        if not os.path.isfile(path):
            raise Skipped(f"MODEL2={given}: no such model")
        return path
    copy = os.path.join(folder, "second.gguf")
    try:
        shutil.copyfile(model, copy)
    except OSError as error:
        raise Skipped(f"no MODEL2, and no room for a copy: {error.strerror}") from error
    return copy


class Load:
    """Rates of models under load, through one daemon."""

    def __init__(self, jobs: Jobs, seconds: float) -> None:
        self.jobs, self.conn, self.seconds = jobs, jobs.conn, seconds
        self.draw = random.Random(EACH)

    def rates(self, models: Sequence[str], nices: Sequence[int] = (0, 0)) -> list[float]:
        """Tokens a second of each, all of them busy."""
        groups = [
            [self.jobs.start(prose.text(PROMPT, self.draw), ENDLESS, model=model, nice=nice, stdout="null")
             for _ in range(EACH)]
            for model, nice in zip(models, nices, strict=False)
        ]  # fmt: skip
        started = [job for group in groups for job in group]
        self.jobs.until(lambda: all(job.pid or job.fault for job in started))
        assert not any(job.fault for job in started), [job.fault for job in started]
        while not all(made(self.conn, [job.pid]) for job in started):
            time.sleep(0.05)
        before = [made(self.conn, [job.pid for job in group]) for group in groups]
        began = time.perf_counter()
        time.sleep(self.seconds)
        after = [made(self.conn, [job.pid for job in group]) for group in groups]
        took = time.perf_counter() - began
        for job in started:
            self.conn.post("kill", pid=job.pid, sig=KILL)
        self.jobs.all_ended(started)
        return [(b - a) / took for a, b in zip(before, after, strict=True)]


def rows(place: Place) -> Iterator[Row]:
    """The sum, then the shares."""
    sums, shares, seen = [], [], []
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(place.model, **place.keys()))
        models = [place.model, second(place.model, daemon.folder)]
        conn = stack.enter_context(closing(daemon.connect()))
        for model in models:
            conn.call("load", model=model)
        load = Load(Jobs(conn), SHORT_WINDOW_S if not place.scale else WINDOW_S)
        for _ in range(place.count(PAIRS)):
            alone = [load.rates([model])[0] for model in models]
            both = load.rates(models)
            weighed = load.rates(models, (0, NICE))
            sums.append(sum(b / a for a, b in zip(alone, both, strict=True)))
            shares.append((weighed[0] / both[0]) / max(1e-9, weighed[1] / both[1]))
            seen.append({"alone": alone, "both": both, "nice": weighed})
    found = stats.estimate(sums)
    value = f"{found.shown()}, alone {median(each['alone'][0] for each in seen):.1f} tokens/s"
    data: dict[str, Any] = {"ratio": found.record(), "windows": seen, "second": os.environ.get("MODEL2", "a copy")}
    yield judged("two models busy: sum of rate / rate alone", f">= {SUM:g}", value, found.middle >= SUM, data)
    wanted = weight(0) / weight(NICE)
    off = stats.estimate([abs(share / wanted - 1) for share in shares])
    value = f"{off.shown()} off; {median(shares):.2f} to 1 where nice 0 and {NICE} ask for {wanted:.2f}"
    data = {"ratio": off.record(), "shares": shares, "wanted": wanted, "windows": seen}
    yield judged("two models busy: shares by nice", f"<= {WITHIN:g}", value, off.middle <= WITHIN, data)
