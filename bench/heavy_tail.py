"""A heavy-tailed mix at 0.9 of llama-server's capacity: mean completion, and the 99th percentile of the short.

Lengths are of the Azure traces (lengths.py says how scaled); times between arrivals are exponential, so
arrivals are open and Poisson. Capacity is what llama-server with 4 slots completes a second when as many
of the same lengths are there at once, measured before each pair: a machine that others share is not as fast now as it
was, and near capacity a little more or less is most of the queue. Each pair has a seed of its own; both sides get the
same requests at the same times, on all of the machine's cores. Short is the half of the requests with the fewest
tokens.
"""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from statistics import fmean, median

from bench import arrivals, lengths, prose, stats
from bench.arrivals import Arrival
from bench.daemon import Daemon, measured
from bench.jobs import Job, Jobs, density
from bench.pairs import alternate
from bench.peer import Answer, LlamaServer
from bench.place import CELLS, Place, cores
from bench.row import Row, judged

SHORT_COUNT, COUNT = 40, 200
PAIRS = 3
SLOTS = 4
LOAD = 0.9
OTHERS = 1000
"""Added to a seed: texts that the server has not in its cache when the pair comes."""
MEAN, SHORT_P99 = 2.0, 10.0


def requests(count: int, rate: float, seed: int, density: float = 1.0, words: int | None = None) -> list[Arrival]:
    """The mix; a rate of 0 is all at once. `words`: the seed of times and texts, where that is another."""
    draw = random.Random(seed if words is None else words)
    times = arrivals.poisson(rate, count, draw) if rate else [0.0] * count
    mix = lengths.mix(count, seed)
    return [
        Arrival(at, prose.text(each.prompt, draw, density), each.answer) for at, each in zip(times, mix, strict=True)
    ]


def capacity(server: LlamaServer, count: int, seed: int, density: float) -> float:
    """Requests a second of such lengths that the server completes when it is never idle."""
    done = arrivals.theirs(server, requests(count, 0.0, seed, density, words=OTHERS + seed))
    return sum(each.whole for each in done) / (max(each.ended for each in done) - min(each.began for each in done))


def summary(played: Sequence[Arrival], done: Sequence[Job] | Sequence[Answer]) -> dict[str, float]:
    """Seconds from arrival to completion."""
    took = [each.ended - each.began for each in done]
    sizes = [len(each.text.split()) + each.tokens for each in played]
    middle = median(sizes)
    short = [seconds for seconds, size in zip(took, sizes, strict=True) if size <= middle]
    return {
        "mean": fmean(took),
        "p99": stats.percentile(took, 0.99),
        "short_p99": stats.percentile(short, 0.99),
        "unfinished": sum(not each.whole for each in done),
    }


def rows(place: Place) -> Iterator[Row]:
    """Mean, p99, and p99 of the short."""
    count = place.pick(SHORT_COUNT, COUNT)
    with (
        Daemon(place.model, **place.keys(calibrate="true")) as daemon,
        open(os.path.join(daemon.folder, "peer"), "wb") as log,
        LlamaServer(place.model, cores(), CELLS, SLOTS, log) as server,
        closing(daemon.connect()) as conn,
    ):
        conn.call("load", model=place.model)
        measured(conn)
        jobs = Jobs(conn)
        arrivals.ours(jobs, requests(SLOTS, 0.0, 0))
        arrivals.theirs(server, requests(SLOTS, 0.0, 0))
        words = density(conn)
        most: list[float] = []

        def play(number: int) -> list[Arrival]:
            if number == len(most):
                most.append(capacity(server, count, number + 1, words))
            return requests(count, LOAD * most[number], number + 1, words)

        found = alternate(
            place.count(PAIRS),
            lambda n: summary(play(n), arrivals.ours(jobs, play(n))),
            lambda n: summary(play(n), arrivals.theirs(server, play(n))),
        )
        policy = conn.call("sched")[0]["policy"]
    for name, title, target in (
        ("mean", "mean completion", MEAN),
        ("p99", "p99 completion", 0.0),
        ("short_p99", "p99 completion of the short half", SHORT_P99),
    ):
        mine, other = [a[name] for a, _ in found], [b[name] for _, b in found]
        ratio = stats.ratio(other, mine)
        lost = [sum(each) for each in zip(*((a["unfinished"], b["unfinished"]) for a, b in found), strict=True)]
        value = f"{ratio.shown()}, {median(mine):.2f} and {median(other):.2f} s"
        value += f"; unfinished {lost[0]} and {lost[1]}" if any(lost) else ""
        data = {"ratio": ratio.record(), "llmshd_s": mine, "llama-server_s": other, "requests": count}
        data |= {"capacity_per_s": most, "load": LOAD, "policy": policy, "unfinished": lost, "scale": lengths.SCALE}
        good = ratio.middle >= target and not lost[0]
        yield judged(
            f"heavy tail: {title}, llama-server / llmshd", f">= {target:g}" if target else "", value, good, data
        )
