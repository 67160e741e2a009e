"""Models that cannot share or cut (recurrent, hybrid, with a sliding window): whatever is done to a sequence, the
model then knows what it would know had it read the log afresh. What it thinks of a few labels tells.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmsh.abi import abort, lease
from llmsh.engine.model import Model
from tests.support import tinykinds
from tests.support.enginehost import EngineHost
from tests.support.tinymodel import make

pytestmark = pytest.mark.llama
PROMPT = [32 + 7 * at % 90 for at in range(3 * tinykinds.WINDOW)]
L = len(PROMPT)
MADE = 40
TAIL = [70, 71, 80, 81, 90]
LABELS = [[65], [66, 67], [70, 71, 72, 73]]
GREEDY = lease.Sampling(ignore_eos=True)
CELLS = 512
ROUNDING = 0.1
"""How much logarithms of about -50 differ by chunks and neighbours; ten tokens less are more."""


@pytest.fixture(params=tinykinds.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def path(kind: str, tmp_path: Path) -> Path:
    return tinykinds.make(tmp_path / f"{kind}.gguf", kind)


@pytest.fixture
def engine(path: Path, engines: Callable[..., EngineHost]) -> EngineHost:
    return engines(path, cells=CELLS, cores=2)


def scores(engine: EngineHost, q: int) -> list[float]:
    done = engine.done(lambda op: lease.Score(q, LABELS, op))
    assert done.error == ""
    return done.scores


def knows(engine: EngineHost, q: int, log: list[int]) -> None:
    """Sequence q is as one that has read this log afresh, and nothing else is."""
    found = scores(engine, q)
    engine.post(lease.Open(9000 + q, 0), lease.Feed(9000 + q, 0, log))
    afresh = scores(engine, 9000 + q)
    engine.done(lambda op: lease.Drop(9000 + q, op))
    assert found == pytest.approx(afresh, abs=ROUNDING)
    engine.post(lease.Open(8000 + q, 0), lease.Feed(8000 + q, 0, log[:-20] + log[-10:]))
    other = scores(engine, 8000 + q)
    engine.done(lambda op: lease.Drop(8000 + q, op))
    assert found != pytest.approx(other, abs=ROUNDING), "ten tokens less would not be noticed: the test tests nothing"


def begun(engine: EngineHost, q: int = 1) -> list[int]:
    """A sequence that has read and written beyond the window; its log."""
    engine.begin(q, PROMPT, GREEDY)
    engine.run(q, L + MADE)
    return PROMPT + engine.tokens(q)


def test_it_is_recognised(engine: EngineHost) -> None:
    assert not engine.ready.share


def test_a_window_that_nothing_reaches_is_none(tmp_path: Path) -> None:
    model = Model(str(tinykinds.make(tmp_path / "tiny.gguf", "sliding")))
    assert model.shares(tinykinds.WINDOW)
    assert not model.shares(tinykinds.WINDOW + 1)
    assert Model(str(make(tmp_path / "plain.gguf"))).shares(1 << 20)


def test_it_generates(engine: EngineHost) -> None:
    knows(engine, 1, begun(engine))


def test_sequences_side_by_side_are_apart(engine: EngineHost) -> None:
    logs = {}
    for q in (1, 2, 3):
        engine.begin(q, PROMPT[q:], GREEDY)
        engine.grant(q, L - q + MADE)
    for _ in (1, 2, 3):
        engine.until(lease.Halted)
    for q in (1, 2, 3):
        logs[q] = PROMPT[q:] + engine.tokens(q)
        assert len(logs[q]) == L - q + MADE
    for q, log in logs.items():
        knows(engine, q, log)


def test_a_cut_takes_all_and_is_computed_again(engine: EngineHost) -> None:
    log = begun(engine)
    begun(engine, 2)
    at = L - 10
    done = engine.done(lambda op: lease.Cut(1, at, op))
    assert (done.error, done.cells) == ("", 0)
    engine.post(lease.Feed(1, at, TAIL))
    knows(engine, 1, log[:at] + TAIL)


def test_a_cut_of_what_is_not_computed_costs_nothing(engine: EngineHost) -> None:
    log = begun(engine)
    engine.post(lease.Feed(1, len(log), TAIL))
    assert engine.done(lambda op: lease.Cut(1, len(log), op)).cells == len(log) - 1


def test_an_image_is_put_back_whole(engine: EngineHost) -> None:
    log = begun(engine)
    assert engine.done(lambda op: lease.Save(1, op)).error == ""
    begun(engine, 2)
    done = engine.done(lambda op: lease.Load(1, op))
    assert (done.error, done.cells) == ("", len(log) - 1)
    knows(engine, 1, log)


def test_an_image_that_is_cut_is_worth_nothing(engine: EngineHost) -> None:
    log = begun(engine)
    engine.done(lambda op: lease.Save(1, op))
    at = L - 10
    assert engine.done(lambda op: lease.Cut(1, at, op)).error == ""
    engine.post(lease.Feed(1, at, TAIL))
    done = engine.done(lambda op: lease.Load(1, op))
    assert (done.error, done.cells) == ("", 0)
    knows(engine, 1, log[:at] + TAIL)


def test_it_moves_to_another_core(engine: EngineHost) -> None:
    log = begun(engine)
    assert engine.done(lambda op: lease.Move(1, 1, op)).error == ""
    assert engine.done(lambda op: lease.Load(1, op)).cells == len(log) - 1
    engine.run(1, len(log) + 5)
    log = PROMPT + engine.tokens(1)
    assert len(log) == L + MADE + 5
    knows(engine, 1, log)


@pytest.mark.parametrize("at", [L - 10, L + MADE])
def test_a_child_reads_for_itself(engine: EngineHost, at: int) -> None:
    log = begun(engine)
    done = engine.done(lambda op: lease.Fork(1, 2, at, op))
    assert done.error == ""
    engine.post(lease.Feed(2, at, TAIL))
    knows(engine, 2, log[:at] + TAIL)
    knows(engine, 1, log)


def test_a_score_leaves_nothing_behind_that_would_be_taken_for_the_log(engine: EngineHost) -> None:
    log = begun(engine)
    first = scores(engine, 1)
    assert scores(engine, 1) == pytest.approx(first, abs=ROUNDING)
    engine.post(lease.Feed(1, len(log), TAIL))
    knows(engine, 1, log + TAIL)


def test_an_aborted_step_is_as_if_it_had_not_been(engine: EngineHost) -> None:
    for q in (1, 2):
        engine.begin(q, PROMPT[q:], GREEDY)
    for number in range(1, 80, 3):
        engine.page[abort.place(0, number)] = 1
    for q in (1, 2):
        engine.grant(q, L - q + MADE)
    for _ in (1, 2):
        assert engine.until(lease.Halted).why == lease.LIMIT
    assert any(not step.rows and not step.fed for step in engine.steps()), "no step was aborted"
    for q in (1, 2):
        knows(engine, q, PROMPT[q:] + engine.tokens(q))


def test_a_full_cache_is_used_to_the_last_cell(engine: EngineHost) -> None:
    context = engine.ready.context
    engine.begin(1, PROMPT, GREEDY)
    halted = engine.run(1, context)
    assert (halted.why, halted.pos) == (lease.LIMIT, context)
    log = PROMPT + engine.tokens(1)
    assert len(log) == context
    at = context - 20
    engine.done(lambda op: lease.Cut(1, at, op))
    knows(engine, 1, log[:at])
