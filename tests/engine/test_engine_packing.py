"""PACK and the filling of a cache over llama.cpp: what is below the highest cell, and the same text after."""

import os
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from llmsh.abi import abort, lease
from llmsh.engine.cache import Cache
from llmsh.engine.calibrate import Calibrator
from llmsh.engine.channel import Channel
from llmsh.engine.core import AbortPage, Core
from llmsh.engine.model import Model
from tests.support.cachelog import CacheLog, watch
from tests.support.enginehost import EngineHost

pytestmark = pytest.mark.llama
PROMPT = list(b"Once upon a time in a land of tokens")
L = len(PROMPT)
GREEDY = lease.Sampling(ignore_eos=True)
BELOW = 700


def pack(engine: EngineHost, most: int = 4096, core: int = 0) -> lease.Done:
    return engine.done(lambda op: lease.Pack(core, most, op))


def holey(engine: EngineHost) -> None:
    """2 and 3 share PROMPT and go on, above the cells of 1, which goes."""
    engine.begin(1, [40 + at % 50 for at in range(BELOW + 1)])
    engine.run(1, BELOW + 1)
    engine.begin(2, PROMPT, GREEDY)
    engine.run(2, L + 4)
    engine.done(partial(lease.Fork, 2, 3, L))
    engine.post(lease.Feed(3, L, [7]), lease.Answer(3, L + 1, GREEDY))
    engine.run(3, L + 8)
    assert engine.steps()[-1].highest == BELOW + L + 3 + 7
    done = engine.done(partial(lease.Drop, 1))
    assert (done.core, done.highest) == (0, BELOW + L + 3 + 7)


def test_the_highest_comes_down_and_the_text_stays(engine: EngineHost) -> None:
    holey(engine)
    engine.run(2, L + 10)
    used = engine.steps()[-1].used
    done = pack(engine)
    assert (done.error, done.q, done.core) == ("", 0, 0)
    assert done.cells == L + 3 + 7  # what came after 1 was gone lies in its place
    assert done.highest == used
    engine.run(2, L + 40)
    engine.run(3, L + 40)
    assert engine.steps()[-1].used == engine.steps()[-1].highest == L + 39 + 39
    engine.begin(4, PROMPT, GREEDY)
    engine.run(4, L + 40)
    assert engine.tokens(2) == engine.tokens(4)
    engine.begin(5, [*PROMPT, 7], GREEDY)
    engine.run(5, L + 40)
    assert engine.tokens(3) == engine.tokens(5)


def test_in_pieces_while_they_run(engine: EngineHost) -> None:
    holey(engine)
    ops = [engine.op() for _ in range(8)]
    for q in (2, 3):
        engine.grant(q, L + 60)
    engine.post(*(lease.Pack(0, 6, op) for op in ops))
    ended = [engine.until(lease.Done) for _ in ops]
    assert [done.op for done in ended] == ops
    assert sum(done.cells for done in ended) >= L + 3 + 7
    assert sorted(engine.until(lease.Halted).pos for _ in "23") == [L + 60] * 2
    assert engine.steps()[-1].highest == engine.steps()[-1].used
    engine.begin(4, PROMPT, GREEDY)
    engine.run(4, L + 60)
    assert engine.tokens(2) == engine.tokens(4)


def test_an_image_comes_back_into_the_holes(engine: EngineHost) -> None:
    holey(engine)
    engine.done(partial(lease.Save, 2))
    done = engine.done(partial(lease.Load, 2))
    assert (done.error, done.core) == ("", 0)
    assert pack(engine).cells == L + 7  # those of 3; 2 has its own by now, below
    engine.run(2, L + 30)
    engine.begin(4, PROMPT, GREEDY)
    engine.run(4, L + 30)
    assert engine.tokens(2) == engine.tokens(4)


def test_nothing_to_do_is_done(engine: EngineHost) -> None:
    for core in (0, 1, lease.EXACT):
        done = pack(engine, core=core)
        assert (done.cells, done.error, done.highest) == (0, "", 0)


def test_steps_with_a_full_cache_take_turns(engine: EngineHost) -> None:
    engine.begin(1, PROMPT, GREEDY)
    engine.run(1, L + 10)
    done = engine.done(lambda op: lease.Measure(0, 1, 1, 1, 1, 200, op, 1024))
    assert done.error == ""
    assert len(done.scores) > lease.TURN
    engine.run(1, L + 30)
    assert engine.steps()[-1].highest == L + 29
    engine.begin(2, PROMPT, GREEDY)
    engine.run(2, L + 30)
    assert engine.tokens(1) == engine.tokens(2)
    small = engine.done(lambda op: lease.Measure(0, 1, 1, 1, 1, 200, op, 2048))
    assert small.error.startswith("no room")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[CacheLog]:
    with watch(monkeypatch) as found:
        yield found


def test_a_cache_is_filled_as_said_and_emptied_for_whoever_comes(tiny: Path, log: CacheLog) -> None:
    model, fd = Model(str(tiny)), os.memfd_create("abort")
    os.ftruncate(fd, abort.SIZE)
    page = AbortPage(fd)
    cache = Cache(lambda index: Core(model, index, 2048, 2, threads=(1, 1), page=page), 1, 2048, True)
    kernel, end = socket.socketpair()
    channel = Channel(end.detach())
    calibrator = Calibrator(cache, channel, model.size)
    home = cache.cores[0]
    # Five cells are used, the last of eight is the highest: those between are filled, too.
    cells = home.layout.take(8)
    home.layout.give(cells[4:7])
    calibrator.take(lease.Measure(0, 1, 1, 1, 1, 60_000, 1, 1024))
    seen = []
    for turn in range(3 * lease.TURN):
        if turn == lease.TURN + 2:
            calibrator.clear(0)
        job = calibrator.begin(0, wanted=False)
        assert job is not None
        log.found.clear()
        calibrator.decode(job)
        seen.append(log.found[-1])
        calibrator.end(job)
    full = (1024 + 3, 1024 + 3)
    assert seen == [(0, 0)] * lease.TURN + [full] * lease.TURN + [(0, 0)] * lease.TURN
    assert calibrator.begin(0, wanted=True) is None
    assert log.probe(home.core, home.scratch[0]) == [(0, 0)]
    kernel.close()
    channel._socket.close()
    os.close(fd)
    home.core.close()
