"""A person beside a batch: twelve long background jobs, then short questions from a terminal, 0.2 s apart.

Both sides get the same texts at the same times, on all of the machine's cores; llama-server has 4 slots.
Time to the first token of a question counts from when it is asked. Total tokens a second count from the
first job's start to the last end of all, jobs and questions. Our person is another OS session with a
terminal, so that its questions are the foreground's.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median

from bench import arrivals, prose, stats
from bench.arrivals import Arrival
from bench.crowd import Crowd
from bench.daemon import Daemon, measured
from bench.guest import Guest
from bench.jobs import Jobs, density
from bench.pairs import alternate
from bench.peer import LlamaServer
from bench.place import CELLS, Place, cores
from bench.row import Row, judged

JOBS, SLOTS = 12, 4
SHORT_QUESTIONS, QUESTIONS = 25, 100
GAP_S = 0.2
HEAD_START_S = 1.0
"""The jobs are under way when the first question comes."""
SHORT_JOB, JOB, JOB_PROMPT = 96, 256, 60
MOST_TOKENS = 1500
"""Of a job's answer: contexts may end at 2,048."""
BEYOND = 1.5
"""The jobs should last this much longer than the questions."""
ANSWER, QUESTION = 8, 8
PAIRS = 5
LATENCY, RATE = 20.0, 0.95


class Side:
    """One play of one side: seconds to first tokens, and tokens a second of all."""

    def __init__(self, firsts: list[float], tokens: int, seconds: float, outlasted: bool) -> None:
        assert firsts, "no question was answered"
        self.p50, self.p99 = stats.percentile(firsts, 0.5), stats.percentile(firsts, 0.99)
        self.rate = tokens / seconds
        self.outlasted = outlasted


class Scene:
    """Texts that are new for each play."""

    def __init__(self, questions: int, tokens: int, density: float) -> None:
        self.count = questions
        self.tokens = tokens
        """Of a job's answer."""
        self.density = density
        self.draw = random.Random(questions)

    def jobs(self) -> list[str]:
        """The batch."""
        return [prose.text(JOB_PROMPT, self.draw, self.density) for _ in range(JOBS)]

    def questions(self) -> list[Arrival]:
        """What the person asks."""
        return [Arrival(i * GAP_S, prose.text(QUESTION, self.draw, self.density), ANSWER) for i in range(self.count)]


def ours(jobs: Jobs, person: Guest, scene: Scene) -> Side:
    """Through llmshd."""
    batch = [jobs.start(text, scene.tokens) for text in scene.jobs()]
    until = time.perf_counter() + HEAD_START_S
    while (left := until - time.perf_counter()) > 0:
        jobs.turn(left)
    person.play(scene.questions())
    jobs.all_ended(batch)
    asked = person.told()
    assert all(job.whole for job in batch), [job.fault for job in batch]
    ends = [job.ended for job in batch] + [each.ended for each in asked]
    made = JOBS * scene.tokens + ANSWER * sum(each.whole for each in asked)
    last = max(each.began for each in asked)
    firsts = [each.first - each.began for each in asked if each.first]
    return Side(firsts, made, max(ends) - batch[0].began, max(job.ended for job in batch) > last)


def theirs(server: LlamaServer, scene: Scene) -> Side:
    """Through llama-server."""
    with Crowd(JOBS) as pool:
        batch = [pool.submit(server.complete, text, scene.tokens) for text in scene.jobs()]
        time.sleep(HEAD_START_S)
        asked = arrivals.theirs(server, scene.questions())
        done = [each.result() for each in batch]
    ends = [each.ended for each in done + asked]
    made = sum(each.tokens for each in done + asked)
    last = max(each.began for each in asked)
    firsts = [each.first - each.began for each in asked if each.first]
    return Side(firsts, made, max(ends) - min(each.began for each in done), max(each.ended for each in done) > last)


def lasting(jobs: Jobs, scene: Scene) -> int:
    """Tokens of a job so that twelve of them keep this machine busy while questions come."""
    scene.tokens = 16
    batch = [jobs.start(text, scene.tokens) for text in scene.jobs()]
    jobs.all_ended(batch)
    rate = JOBS * scene.tokens / (max(job.ended for job in batch) - batch[0].began)
    return min(MOST_TOKENS, round(BEYOND * rate * (HEAD_START_S + scene.count * GAP_S) / JOBS))


def rows(place: Place) -> Iterator[Row]:
    """Time to first token, p50 and p99, and total tokens a second."""
    with (
        Daemon(place.model, **place.keys(calibrate="true")) as daemon,
        open(os.path.join(daemon.folder, "peer"), "wb") as log,
        LlamaServer(place.model, cores(), CELLS, SLOTS, log) as server,
        closing(daemon.connect()) as conn,
        Guest(daemon, terminal=True) as person,
    ):
        conn.call("load", model=place.model)
        measured(conn)
        jobs = Jobs(conn)
        scene = Scene(place.pick(SHORT_QUESTIONS, QUESTIONS), place.pick(SHORT_JOB, JOB), density(conn))
        scene.tokens = max(scene.tokens, lasting(jobs, scene))
        server.complete(prose.text(JOB_PROMPT, scene.draw), ANSWER)
        found = alternate(place.count(PAIRS), lambda _: ours(jobs, person, scene), lambda _: theirs(server, scene))
    mine, other = [a for a, _ in found], [b for _, b in found]
    data: dict[str, object] = {"questions": scene.count, "outlasted": [side.outlasted for side in mine + other]}
    for name, target in (("p50", 0.0), ("p99", LATENCY)):
        a, b = ([float(getattr(side, name)) for side in sides] for sides in (mine, other))
        ratio = stats.ratio(b, a)
        value = f"{ratio.shown('.1f')}, {1000 * median(a):.0f} and {1000 * median(b):.0f} ms"
        numbers = {"ratio": ratio.record(), "llmshd_s": a, "llama-server_s": b, **data}
        title = f"person beside {JOBS} jobs: first token {name}, llama-server / llmshd"
        yield judged(title, f">= {target:g}" if target else "", value, ratio.middle >= target, numbers)
    a, b = [side.rate for side in mine], [side.rate for side in other]
    ratio = stats.ratio(a, b)
    value = f"{ratio.shown()}, {median(a):.1f} and {median(b):.1f}"
    title = f"person beside {JOBS} jobs: total tokens/s, llmshd / llama-server"
    yield judged(title, f">= {RATE:g}", value, ratio.middle >= RATE, {"ratio": ratio.record(), **data})
