"""Open arrivals: requests that come when they come, whether or not those before them have been answered.

The same list is played to either side. Source: Schroeder, Wierman and Harchol-Balter, Open Versus Closed
(NSDI 2006). It knows no lengths and judges nothing.
"""

import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.crowd import Crowd
from bench.jobs import Job, Jobs
from bench.peer import Answer, LlamaServer


class Arrival(NamedTuple):
    """A request: seconds from the start of the play, its text, and how many tokens it asks for."""

    at: float
    text: str
    tokens: int


def poisson(rate: float, count: int, draw: random.Random) -> list[float]:
    """Times of so many arrivals at `rate` a second, without memory; the first comes at 0."""
    times = [0.0]
    while len(times) < count:
        times.append(times[-1] + draw.expovariate(rate))
    return times[:count]


def ours(jobs: Jobs, arrivals: Sequence[Arrival]) -> list[Job]:
    """Play them to llmshd and wait for all ends."""
    started: list[Job] = []
    began = time.perf_counter()
    for arrival in arrivals:
        while (left := began + arrival.at - time.perf_counter()) > 0:
            jobs.turn(left)
        started.append(jobs.start(arrival.text, arrival.tokens))
    jobs.all_ended(started)
    return started


def theirs(server: LlamaServer, arrivals: Sequence[Arrival]) -> list[Answer]:
    """Play them to llama-server and wait for all ends."""
    began = time.perf_counter()

    def ask(arrival: Arrival) -> Answer:
        return server.complete(arrival.text, arrival.tokens)

    with Crowd(len(arrivals)) as pool:
        asked = []
        for arrival in arrivals:
            time.sleep(max(0.0, began + arrival.at - time.perf_counter()))
            asked.append(pool.submit(ask, arrival))
        return [each.result() for each in asked]
