"""Images of what is a sequence's own: what it shares stays with who shares it, and the text is the same after."""

from functools import partial

import pytest

from llmsh.abi import lease
from llmsh.abi.lease import Sampling
from tests.support.enginehost import EngineHost

pytestmark = pytest.mark.llama
PROMPT = list(b"Once upon a time in a land of tokens")
L = len(PROMPT)


def _load(donor: int, op: int, q: int = 2) -> lease.Load:
    return lease.Load(q, op, donor)


def shared(engine: EngineHost) -> None:
    """1 is nobody's but holds PROMPT; 2 and 3 go on behind it, in 4 and 6 cells of their own."""
    engine.begin(1, [*PROMPT, 5])
    engine.run(1, L + 1)
    for q, more in ((2, 4), (3, 6)):
        engine.done(partial(lease.Fork, 1, q, L))
        engine.post(lease.Feed(q, L, [7, 8, q]), lease.Answer(q, L + 3, Sampling()))
        engine.run(q, L + more + 1)


def test_an_image_of_what_is_its_own_keeps_sharing(engine: EngineHost) -> None:
    shared(engine)
    used = engine.steps()[-1].used
    assert used == L + 4 + 6
    assert engine.done(lambda op: lease.Save(2, op, L)).cells == 0
    engine.run(3, L + 8)
    assert engine.steps()[-1].used == L + 7
    done = engine.done(lambda op: lease.Load(2, op, 1))
    assert (done.error, done.cells) == ("", L + 4)
    engine.run(2, L + 12)
    engine.run(3, L + 12)
    assert engine.steps()[-1].used == L + 11 + 11


def test_the_text_after_a_shared_image_is_that_without_one(engine: EngineHost) -> None:
    shared(engine)
    engine.done(lambda op: lease.Fork(2, 4, L + 5, op))
    engine.post(lease.Answer(4, L + 3, Sampling()))
    engine.run(4, L + 20)
    engine.done(lambda op: lease.Save(2, op, L))
    engine.done(lambda op: lease.Load(2, op, 1))
    engine.run(2, L + 20)
    assert engine.tokens(2)[2:] == engine.tokens(4)


def test_an_image_behind_cells_that_nobody_has_is_kept(engine: EngineHost) -> None:
    shared(engine)
    engine.done(lambda op: lease.Save(2, op, L))
    engine.done(lambda op: lease.Save(1, op))
    for donor in (0, 1, 99):
        done = engine.done(partial(_load, donor))
        assert done.error == f"nobody has the {L} cells before the image"
    assert engine.done(lambda op: lease.Load(1, op)).cells == L
    assert engine.done(lambda op: lease.Load(2, op, 1)).cells == L + 4
    engine.run(2, L + 9)


def test_an_image_is_forked_whole(engine: EngineHost) -> None:
    shared(engine)
    engine.done(lambda op: lease.Save(2, op, L))
    engine.done(lambda op: lease.Fork(2, 4, L + 5, op))
    engine.post(lease.Answer(4, L + 3, Sampling()))
    for q in (2, 4):
        assert engine.done(partial(_load, 1, q=q)).cells == L + 4
        engine.run(q, L + 12)
    assert engine.tokens(2)[2:] == engine.tokens(4)


def test_who_was_forked_and_not_fed_computes_its_last_token_again(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 10)
    engine.done(lambda op: lease.Fork(1, 2, L + 5, op))
    engine.post(lease.Answer(2, L, Sampling()))
    engine.run(2, L + 10)
    assert engine.tokens(2) == engine.tokens(1)[5:]
