"""MEASURE and THREADS: made-up steps that give way, leave nothing behind, and say how long they took."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from llmsh.abi import abort, lease
from llmsh.engine.cache import Cache
from llmsh.engine.calibrate import Calibrator
from llmsh.engine.channel import Channel
from llmsh.engine.core import AbortPage, Core
from llmsh.engine.model import Model
from llmsh.engine.sequence import Sequence
from tests.support.enginehost import EngineHost

PROMPT = list(range(40, 70))
L = len(PROMPT)
GREEDY = lease.Sampling(ignore_eos=True)
LONG_MS = 600_000

pytestmark = pytest.mark.llama


def measure(engine: EngineHost, batch: int = 1, tokens: int = 1, ms: int = 5, core: int = 0) -> lease.Done:
    return engine.done(lambda op: lease.Measure(core, 1, 1, batch, tokens, ms, op))


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (4, 1), (32, 1), (1, 64), (1, 512)])
def test_a_measurement_takes_time_and_no_cells(engine: EngineHost, batch: int, tokens: int) -> None:
    done = measure(engine, batch, tokens)
    assert (done.q, done.error) == (0, "")
    assert 0 < done.share <= 1
    assert done.scores
    assert min(done.scores) > 0
    steps = engine.steps()
    assert [step.ms for step in steps] == done.scores
    assert [step.no for step in steps] == [*range(1, len(steps) + 1)]
    assert all((step.rows, step.fed, step.used, step.threads, step.busy) == ([], [], 0, 1, 1) for step in steps)


def test_a_sequence_says_the_same_after_a_measurement(engine: EngineHost) -> None:
    engine.begin(1, PROMPT, GREEDY)
    engine.run(1, L + 20)
    assert measure(engine, 32).error == ""
    engine.run(1, L + 40)
    engine.begin(2, PROMPT, GREEDY)
    engine.run(2, L + 40)
    assert engine.tokens(1) == engine.tokens(2)


def test_it_ends_when_there_is_real_work(engine: EngineHost) -> None:
    engine.begin(1, PROMPT, GREEDY)
    op = engine.op()
    engine.post(lease.Measure(0, 1, 1, 1, 1, LONG_MS, op))
    engine.until(lease.Step)
    engine.grant(1, L + 20)
    done = engine.until(lease.Done, lambda done: done.op == op)
    assert (done.error, bool(done.scores)) == ("", True)
    assert engine.end(1).pos == L + 20


def test_one_that_never_began_says_so(engine: EngineHost) -> None:
    engine.begin(1, PROMPT, GREEDY)
    op = engine.op()
    engine.post(lease.Lease(1, 0, L + 20), lease.Measure(0, 1, 1, 1, 1, LONG_MS, op))
    done = engine.until(lease.Done, lambda done: done.op == op)
    assert (done.error, done.scores) == ("gave way", [])


def test_an_abort_ends_it(engine: EngineHost) -> None:
    number = measure(engine).op and len(engine.steps())
    engine.page[abort.place(0, number + 1)] = 1
    done = measure(engine, 1, 512, LONG_MS)
    assert (done.error, done.scores) == ("aborted", [])


def test_two_cores_measure_at_once(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    two = engines(tiny, cores=2)
    ops = [two.op(), two.op()]
    two.post(*(lease.Measure(core, 2, 1, 4, 1, 50, op) for core, op in enumerate(ops)))
    ended = {two.until(lease.Done).op, two.until(lease.Done).op}
    assert ended == set(ops)
    assert {step.core for step in two.steps()} == {0, 1}


@pytest.mark.parametrize(
    ("batch", "tokens", "core"), [(0, 1, 0), (1, 0, 0), (600, 1, 0), (41, 1, 0), (1, 1, 1), (1, 1, lease.EXACT)]
)
def test_what_cannot_be_measured_is_refused(engine: EngineHost, batch: int, tokens: int, core: int) -> None:
    done = measure(engine, batch, tokens, core=core)
    assert done.error
    assert done.scores == []


def test_a_full_cache_has_no_room(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    small = engines(tiny, cells=256)
    small.begin(1, PROMPT, GREEDY)
    small.run(1, L + 10)
    assert measure(small, 1, 250).error.startswith("no room")
    assert measure(small, 1, 100).error == ""


def test_threads_are_what_the_kernel_says(engine: EngineHost) -> None:
    engine.begin(1, PROMPT, GREEDY)
    engine.post(lease.Threads(1, 1, 2))
    engine.run(1, L + 5)
    steps = engine.steps()
    assert all(step.threads == (2 if step.fed else 1) for step in steps)
    assert {step.threads for step in steps} <= {1, 2}
    assert engine.tokens(1)


def test_a_core_that_was_made_to_be_measured_goes_again_and_its_numbers_go_on(tiny: Path) -> None:
    model, fd = Model(str(tiny)), os.memfd_create("abort")
    os.ftruncate(fd, abort.SIZE)
    page = AbortPage(fd)
    cache = Cache(lambda index: Core(model, index, 256, 2, threads=(1, 1), page=page), 2, 256, True)
    kernel, end = socket.socketpair()
    channel = Channel(end.detach())
    calibrator = Calibrator(cache, channel, model.size)

    def measured(core: int) -> int:
        calibrator.take(lease.Measure(core, 1, 1, 1, 1, 0, 1))
        job = calibrator.begin(core, wanted=False)
        assert job is not None
        calibrator.decode(job)
        calibrator.end(job)
        assert calibrator.begin(core, wanted=False) is None
        return job.no

    with kernel:
        assert (measured(0), calibrator.patience(0)) == (1, None)
        assert measured(1) == 1
        assert calibrator.patience(1)
        calibrator.tidy(1)
        assert (list(cache.cores), calibrator.patience(1)) == ([0], None)
        assert measured(1) == 2
        # Somebody came to it.
        cache.enter(Sequence(1, 1, exact=False))
        calibrator.tidy(1)
        assert (list(cache.cores), calibrator.patience(1)) == ([0, 1], None)
    channel._socket.close()
    os.close(fd)
    for home in cache.cores.values():
        home.core.close()
