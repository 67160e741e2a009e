"""An engine with several cores: steps that overlap, sequences that move, and the same text wherever they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmsh.abi import lease
from tests.support.enginehost import EngineHost

PROMPT = list(range(40, 70))
L = len(PROMPT)
GREEDY = lease.Sampling(ignore_eos=True)

pytestmark = pytest.mark.llama


@pytest.fixture
def two(tiny: Path, engines: Callable[..., EngineHost]) -> EngineHost:
    """An engine with two cores."""
    return engines(tiny, cores=2)


def alone(tiny: Path, engines: Callable[..., EngineHost], tokens: int) -> list[int]:
    """What a sequence says on an engine of one core."""
    one = engines(tiny)
    one.begin(1, PROMPT, GREEDY)
    one.run(1, L + tokens)
    return one.tokens(1)


def begin(engine: EngineHost, q: int, core: int) -> None:
    engine.post(lease.Open(q, core), lease.Feed(q, 0, PROMPT), lease.Answer(q, L, GREEDY))


def test_ready_tells_of_the_cores(two: EngineHost) -> None:
    assert two.ready.cores == 2


def test_two_cores_say_what_one_says(two: EngineHost, tiny: Path, engines: Callable[..., EngineHost]) -> None:
    for q in (1, 2):
        begin(two, q, q - 1)
    two.post(lease.Lease(1, 0, L + 60), lease.Lease(2, 0, L + 60))
    first = two.until(lease.Halted)
    two.end(3 - first.q)
    assert two.tokens(1) == two.tokens(2) == alone(tiny, engines, 60)
    order = [step.core for step in two.steps()]
    assert {0, 1} == set(order)
    # Neither waits for the other to end.
    assert order.index(1) < len(order) - 1 - order[::-1].index(0)
    assert order.index(0) < len(order) - 1 - order[::-1].index(1)


def test_a_sequence_moves_with_all_that_was_computed(
    two: EngineHost, tiny: Path, engines: Callable[..., EngineHost]
) -> None:
    begin(two, 1, 0)
    two.run(1, L + 20)
    assert two.done(lambda op: lease.Move(1, 1, op)).error == ""
    assert two.done(lambda op: lease.Load(1, op)).cells == L + 19
    two.run(1, L + 60)
    assert two.tokens(1) == alone(tiny, engines, 60)
    assert sum(n for step in two.steps() for q, n in step.fed) == L
    assert [step.core for step in two.steps()][-1] == 1


def test_one_that_has_computed_nothing_needs_no_image(
    two: EngineHost, tiny: Path, engines: Callable[..., EngineHost]
) -> None:
    begin(two, 1, 0)
    assert two.done(lambda op: lease.Move(1, 1, op)).error == ""
    two.run(1, L + 60)
    assert two.tokens(1) == alone(tiny, engines, 60)


def test_what_follows_a_move_follows_it(two: EngineHost, tiny: Path, engines: Callable[..., EngineHost]) -> None:
    """All in one write, while the core that it leaves is in a step of somebody else's."""
    begin(two, 1, 0)
    two.run(1, L + 10)
    begin(two, 2, 0)
    two.grant(2, L + 400)
    two.until(lease.Step, lambda step: any(row[0] == 2 for row in step.rows))
    move, load = two.op(), two.op()
    two.post(lease.Move(1, 1, move), lease.Load(1, load), lease.Lease(1, two.halted[1], L + 60))
    two.end(1)
    assert two.tokens(1) == alone(tiny, engines, 60)
    two.post(lease.Halt(2, two.halted.get(2, 0)))
    two.end(2)


@pytest.mark.parametrize("core", [2, -1, lease.EXACT])
def test_there_is_no_way_to_a_core_that_is_not(two: EngineHost, core: int) -> None:
    begin(two, 1, 0)
    two.run(1, L + 5)
    assert two.done(lambda op: lease.Move(1, core, op)).error == f"no way from core 0 to core {core}"
    two.run(1, L + 10)
    assert len(two.tokens(1)) == 10


def test_a_leased_sequence_does_not_move(two: EngineHost) -> None:
    begin(two, 1, 0)
    two.grant(1, L + 500)
    assert two.done(lambda op: lease.Move(1, 1, op)).error == "q is not quiet"


def test_a_kernel_that_goes_ends_all_threads(two: EngineHost) -> None:
    for q in (1, 2):
        begin(two, q, q - 1)
    two.post(lease.Lease(1, 0, L + 500), lease.Lease(2, 0, L + 500))
    two.until(lease.Step, lambda step: step.core == 1)
    assert two.close() == b""
    assert two.process.returncode == 0
