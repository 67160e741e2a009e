"""What scheduling alone could win in the heavy-tailed mix: an oracle against llama-server's order, at equal speed.

One machine that does so much work a second. The peer: first come first served into SLOTS slots, which share the
machine evenly. The oracle knows how long every answer will be and always serves who is done soonest (SRPT, which has
the least mean of all: Schrage, 1968). Work is a token made, or INPUT of a token of a prompt. Nothing is measured.

    python -m bench.oracle
"""

import random
from collections.abc import Sequence
from statistics import fmean, median

from bench import arrivals, lengths, stats
from bench.heavy_tail import COUNT, LOAD, SLOTS

INPUT = 0.8
SEEDS = 20


def play(jobs: Sequence[tuple[float, float]], *, oracle: bool) -> list[float]:
    """Seconds that each of (arrival, work), by arrival, takes on a machine of speed 1."""
    left = [[place, work] for place, (_, work) in enumerate(jobs)]
    waiting: list[list[float]] = []
    took = [0.0] * len(jobs)
    now = 0.0
    while left or waiting:
        if not waiting:
            now = max(now, jobs[int(left[0][0])][0])
        while left and jobs[int(left[0][0])][0] <= now:
            waiting.append(left.pop(0))
        served = [min(waiting, key=lambda each: each[1])] if oracle else waiting[:SLOTS]
        step = min(each[1] for each in served) * len(served)
        if left:
            step = min(step, jobs[int(left[0][0])][0] - now)
        now += step
        for each in served:
            each[1] -= step / len(served)
            if each[1] <= 1e-9:
                waiting.remove(each)
                took[int(each[0])] = now - jobs[int(each[0])][0]
    return took


def ratios(seed: int) -> tuple[float, float]:
    """The peer's mean ÷ the oracle's, and of the 99th percentile of the short half."""
    work = [each.prompt * INPUT + each.answer for each in lengths.mix(COUNT, seed)]
    times = arrivals.poisson(LOAD / fmean(work), COUNT, random.Random(seed))
    jobs = list(zip(times, work, strict=True))
    middle = median(work)
    peer, best = (play(jobs, oracle=oracle) for oracle in (False, True))
    short = [[took for took, size in zip(each, work, strict=True) if size <= middle] for each in (peer, best)]
    return fmean(peer) / fmean(best), stats.percentile(short[0], 0.99) / stats.percentile(short[1], 0.99)


if __name__ == "__main__":
    found = [ratios(seed) for seed in range(1, SEEDS + 1)]
    for name, values in zip(("mean completion", "p99 of the short half"), zip(*found, strict=True), strict=True):
        print(f"{name}: peer / oracle {stats.estimate(list(values)).shown()}")
