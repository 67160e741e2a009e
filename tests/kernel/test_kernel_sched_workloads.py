"""Every policy under random workloads: work-conserving, exact, nobody lost or starved, the same again."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llmsh.drivers.fakecore import Options
from llmsh.kernel.core import EARLY
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings
from tests.support.machine import Machine
from tests.support.workload import Play, Work, works

PATIENCE = 10.0
MACHINES = (
    (Options(cells=20_000, context=600), 1),
    (Options(cells=20_000, context=600, ms=10.0, each=4.0), 16),
    (Options(cells=20_000, context=600, cores=2), 2),
    (Options(cells=700, context=600), 4),
    (Options(cells=700, context=600, cores=2, sequences=3), 3),
)
"""Devices, and the sequences of a step: alone, wide, two cores, and twice with too few cells."""
DRAWN = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: a workload is small as it is, and each try takes a while."""
RANDOM = settings(max_examples=12, deadline=None, phases=DRAWN, suppress_health_check=list(HealthCheck))


def play(policy: str, on: tuple[Options, int], load: list[Work], latency_ms: float = 100.0, **more: float) -> Play:
    """The workload, played to its end on a machine of its own."""
    options, batch = on
    made = Settings(strict=True, policy=policy, batch=batch, quantum=4, starvation_s=PATIENCE, latency_ms=latency_ms)
    return Play(Machine(options._replace(**more), settings=made), load)  # type: ignore[arg-type]  # fields of Options


@pytest.mark.parametrize("policy", POLICIES)
@RANDOM
@given(st.sampled_from(MACHINES), works())
def test_no_core_rests_and_nobody_is_lost(policy: str, on: tuple[Options, int], load: list[Work]) -> None:
    """While it runs, Play looks that every core with somebody on it computes, that cores are evened out, and
    that all books are right; at the end everybody has made what it was to make, and every cell is free."""
    game = play(policy, on, load)
    ran = game.run()
    assert [event["status"] for client, pid in ran if (event := client.exited(pid))] == [0] * len(load)
    made = sorted(len(client.out[pid].rstrip(b"\n")) for client, pid in ran)
    assert made == sorted(work.tokens for work in load)
    game.machine.go(1)
    assert game.machine.kernel.check() == []
    assert not game.host.held


@pytest.mark.parametrize("policy", POLICIES)
@settings(RANDOM, max_examples=6)
@given(works(most=24, tokens=60, least=8), st.sampled_from((0, 1, 2)), st.sampled_from((1, 2)))
def test_nobody_who_could_run_waits_longer_than_the_bound(policy: str, load: list[Work], long: int, seats: int) -> None:
    """25 steps a second: the jobs take up to a minute, and so do those in the foreground, who may have every seat. A
    round of all is one token of each and their prompts; beside the foreground one step of two is theirs. Those in the
    foreground wait for a lease of each of the others."""
    persons = [Work(0.5, n, True, 0, 5, 800) for n in range(long)]
    game = play(policy, (MACHINES[0][0], seats), load + persons, ms=40.0, latency_ms=50.0)
    game.run()
    steps = sum((4 if work.front else 1) * 0.040 + 0.0002 * work.prompt for work in load + persons)
    assert game.longest <= PATIENCE + max(0.0, 2 * steps + 0.5 - (1 - EARLY) * PATIENCE)


@pytest.mark.parametrize("policy", ["fcfs", "deadline"])
def test_the_bound_is_needed(policy: str) -> None:
    """Without it the last of these waits for all the others: a test of the test."""
    goal = (("deadline", 100.0),) if policy == "deadline" else ()
    load = [Work(0.0, 0, False, 0, 5, 100, goal)] * 6 + [Work(0.1, 1, False, 0, 5, 100)]
    made = Settings(strict=True, policy=policy, batch=1, quantum=4, starvation_s=1000.0)
    game = Play(Machine(MACHINES[0][0]._replace(ms=40.0), settings=made), load)
    game.run()
    assert game.longest > 2 * PATIENCE


@pytest.mark.parametrize("policy", POLICIES)
@settings(RANDOM, max_examples=4)
@given(st.sampled_from(MACHINES), works())
def test_the_same_again_is_the_same_again(policy: str, on: tuple[Options, int], load: list[Work]) -> None:
    traces = []
    for _ in range(2):
        game = play(policy, on, load)
        game.run()
        traces.append(game.trace)
    assert traces[0] == traces[1]


def after_long_ones(policy: str, many: int, prompt: int) -> float:
    """Seconds that a short job takes that comes when long ones run, one at a time, 200 tokens a second."""
    options = Options(cells=100_000, context=10_000)
    m = Machine(options, settings=Settings(strict=True, policy=policy, batch=1))
    client = m.client()
    for _ in range(many):
        client.run("ask", "x" * prompt, params={"max_tokens": 2000})
    m.go(2)
    began = m.clock.now()
    pid = client.run("ask", "hi", params={"max_tokens": 20})
    m.clock.run_until(lambda: client.exited(pid) is not None)
    return m.clock.now() - began


@pytest.mark.parametrize("policy", ["rr", "mlfq", "fair"])
@settings(RANDOM, max_examples=6)
@given(st.integers(1, 12), st.sampled_from((10, 800)))
def test_no_convoy_behind_long_jobs(policy: str, many: int, prompt: int) -> None:
    """A short job waits for one lease of each of the others at most, and for the prompts of those who have
    not begun, twice: it takes two leases."""
    lease, whole = 16 * 0.005, prompt * 0.0002 + 0.15
    assert after_long_ones(policy, many, prompt) <= 2 * (many + 1) * (lease + whole)


def test_first_come_first_served_is_a_convoy() -> None:
    """What the others must not be: a test of the test."""
    assert after_long_ones("fcfs", 3, 10) > 20
