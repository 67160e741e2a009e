"""Every policy over llama.cpp and the tiny model: what is looked after over the fake device, on a real engine.

Its steps are the kernel's time (stepped.py), so every bound is one in tokens and steps, and none in seconds of the
machine's. When a message comes still differs from time to time: an engine is at most a lease ahead of the kernel.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmsh.abi.lease import Step
from llmsh.kernel.core import EARLY
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings
from tests.support.backlog import Guest, Rivals, bound
from tests.support.machine import Client
from tests.support.stepped import INPUT_S, STEP_S, SteppedMachine
from tests.support.tinymodel import make
from tests.support.workload import GOALS, Play, Work

pytestmark = pytest.mark.llama
QUANTUM = 4
PATIENCE = 10.0
ALONE = (1, 1, 4096)
"""Cores, seats of each, and cells."""
TEMPLATE = 40
"""More tokens than the tiny model's template adds."""
LONGEST = 60
"""Tokens of a prompt, where two sessions are compared: the longer, the less the bound says."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("model") / "tiny.gguf")


Bench = Callable[..., SteppedMachine]


@pytest.fixture
def bench(model: Path) -> Iterator[Bench]:
    """Makes machines: a policy, cores and seats and cells, then settings. One engine at a time: it is a process."""
    machines: list[SteppedMachine] = []

    def machine(
        policy: str,
        on: tuple[int, int, int] = ALONE,
        *,
        step_s: float = STEP_S,
        sequences: int = 4,
        **more: Any,
    ) -> SteppedMachine:
        while machines:
            machines.pop().close()
        cores, seats, cells = on
        made = Settings(strict=True, policy=policy, batch=seats, **{"quantum": QUANTUM, **more})
        sizes = {"cells": cells, "cores": cores, "sequences": sequences}
        machines.append(SteppedMachine(model, settings=made, step_s=step_s, **sizes))
        return machines[0]

    yield machine
    while machines:
        machines.pop().close()


def works(rng: random.Random, least: int = 4, most: int = 8, tokens: int = 100) -> list[Work]:
    """A workload as those of workload.py."""
    return [
        Work(
            at=rng.choice((0.0, 0.0, 0.1, 0.5, 1.0)),
            session=rng.randrange(3),
            front=rng.random() < 0.25,
            nice=rng.choice((0, 0, -5, 10)),
            prompt=rng.randint(1, 300),
            tokens=rng.randint(1, tokens),
            goal=rng.choice(GOALS),
        )
        for _ in range(rng.randint(least, most))
    ]


def made(ran: list[tuple[Client, int]]) -> list[int]:
    """Tokens of each."""
    return [client.row(pid)["tokens_out"] for client, pid in ran]


def statuses(ran: list[tuple[Client, int]]) -> list[int]:
    return [event["status"] for client, pid in ran if (event := client.exited(pid))]


def ended(machine: SteppedMachine, ran: list[tuple[Client, int]]) -> list[int]:
    """Who of them ended, in that order, by their place in the list."""
    machine.clock.run_until(lambda: all(client.exited(pid) for client, pid in ran))
    pids = [pid for _, pid in ran]
    return [pids.index(end["pid"]) for end in machine.memory.ends]


# Work-conserving, exact, nobody lost.


def emptied(machine: SteppedMachine) -> int:
    """What is kept for who may come is dropped: how many cells are in use then, by the engine and by the books."""
    cores = machine.kernel.hosts["fake"].cores.values()
    while idle := [(core, keeper) for core in cores for keeper in core.sharing.keepers if not keeper.users]:
        for core, keeper in idle:
            core.sharing.drop(keeper)
    machine.go(1)
    return sum(core.cells.used + core.cells.highest for core in cores)


@pytest.mark.parametrize("on", [ALONE, (2, 3, 700)])
@pytest.mark.parametrize("policy", POLICIES)
def test_no_core_rests_and_nobody_is_lost(
    bench: Bench, rng: random.Random, policy: str, on: tuple[int, int, int]
) -> None:
    """Alone, and on two cores with too few cells and sequences for all. Play looks after each message that every core
    with somebody on it computes, that cores are evened out, and that all books are right."""
    machine = bench(policy, on, starvation_s=PATIENCE)
    game = Play(machine, works(rng))
    seen: Counter[bool] = Counter()

    def heard(message: Any) -> None:
        if isinstance(message, Step):
            seen[message.used <= game.host.cores[message.core].cells.used] += 1

    machine.listen(heard)
    ran = game.run()
    assert set(seen) == {True}, "the engine has more cells in use than it was given"
    assert statuses(ran) == [0] * len(game.load)
    assert made(ran) == [work.tokens for work in game.load]
    machine.go(1)
    assert machine.kernel.check() == []
    assert not game.host.held
    assert emptied(machine) == 0


# Nobody waits too long.


def crowd(rng: random.Random) -> list[Work]:
    """Many at once, and some in the foreground for as long as these take: a step is a tenth of a second."""
    persons = [Work(0.5, number, True, 0, 5, 150) for number in range(rng.randrange(3))]
    return [*(work._replace(at=min(work.at, 0.5)) for work in works(rng, 8, 16, 40)), *persons]


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_who_could_run_waits_longer_than_the_bound(bench: Bench, rng: random.Random, policy: str) -> None:
    """100 steps, or a round of one for each, as over the fake device. With leases of one token the engine is never
    ahead of the kernel, and with sequences for all nobody waits until those who have just typed give up theirs."""
    load, seats = crowd(rng), rng.choice((1, 2))
    machine = bench(policy, (1, seats, 4096), sequences=32, step_s=0.1, quantum=1, starvation_s=PATIENCE)
    game = Play(machine, load)
    game.run()
    steps = sum(0.1 + INPUT_S * (work.prompt + TEMPLATE) for work in load)
    assert game.longest <= PATIENCE + max(0.0, 2 * steps + 0.5 - (1 - EARLY) * PATIENCE)


def test_that_bound_is_needed(bench: Bench) -> None:
    """A test of the test: without it the last of these waits for all the others."""
    load = [Work(0.0, 0, False, 0, 5, 100)] * 4 + [Work(0.1, 1, False, 0, 5, 100)]
    game = Play(bench("fcfs", step_s=0.1, starvation_s=1000.0), load)
    game.run()
    assert game.longest > 2 * PATIENCE


def after_long_ones(machine: SteppedMachine, many: int) -> int:
    """Tokens that others make until a short job is done that comes when long ones run, one at a time."""
    client = machine.client()
    for number in range(many):
        client.run("ask", f"{number} long", params={"max_tokens": 300})
    machine.go(100 * STEP_S)
    host = machine.kernel.hosts["fake"]
    before = host.tokens_out
    pid = client.run("ask", "hi", params={"max_tokens": 20})
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    return host.tokens_out - before - 20


@pytest.mark.parametrize("policy", ["rr", "mlfq", "fair"])
def test_no_convoy_behind_long_jobs(bench: Bench, rng: random.Random, policy: str) -> None:
    """A short job waits for one lease of each of the others at most, for each of its own and for one under way."""
    many = rng.randint(1, 6)
    assert after_long_ones(bench(policy, quantum=16), many) <= (2 * (many + 1) + 1) * 16


def test_first_come_first_served_is_a_convoy(bench: Bench) -> None:
    """A test of the test."""
    assert after_long_ones(bench("fcfs", quantum=16), 3) > 3 * 300 - 100 - 2 * 16


# Who gets how much.

SHARES: dict[str, tuple[list[dict[str, Any]], list[float]]] = {
    "fcfs": ([{}, {}, {"session": 1}], [1, 0, 0]),
    "rr": ([{}, {"nice": 10}, {"session": 1}], [1 / 3] * 3),
    "fair": ([{}, {"nice": 5}, {"session": 1}], [0.5 * 3.05 / 4.05, 0.5 / 4.05, 0.5]),
    "mlfq": ([{}, {}, {"session": 1}], [0.25, 0.25, 0.5]),
    "deadline": ([{}, {"due": 2000.0}, {"due": 1000.0}], [0, 0, 1]),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_tokens_are_dealt_out_as_the_policy_says(bench: Bench, policy: str) -> None:
    machine = bench(policy, starvation_s=1000.0)
    clients = [machine.client(pid=200 + number, sid=200 + number) for number in (0, 1)]
    jobs, shares = SHARES[policy]
    ran = []
    for job in jobs:
        client = clients[job.get("session", 0)]
        params = {"deadline": job["due"]} if "due" in job else {}
        ran.append((client, client.run("ask", "x", nice=job.get("nice", 0), params=params)))
    machine.clock.run_until(lambda: machine.kernel.hosts["fake"].tokens_out >= 800)
    assert [count / 800 for count in made(ran)] == [pytest.approx(share, abs=0.05) for share in shares]


@pytest.mark.parametrize("policy", ["fcfs", "rr", "deadline"])
def test_the_order_of_ends_is_the_policys(bench: Bench, policy: str) -> None:
    machine = bench(policy, starvation_s=1000.0)
    client = machine.client()
    dues = (900.0, 700.0, 800.0)
    ran = [(client, client.run("ask", "x", params={"max_tokens": 60, "deadline": due})) for due in dues]
    assert ended(machine, ran) == ([1, 2, 0] if policy == "deadline" else [0, 1, 2])


def rivals(machine: SteppedMachine, rng: random.Random, endless: int) -> float:
    """How far apart two backlogged sessions come, whatever else of them comes, in some 400 steps."""
    load = [
        Guest(rng.choice((0.0, 0.1, 0.3, 0.8)), rng.randrange(2), rng.randint(1, LONGEST), rng.randint(1, 100), 0)
        for _ in range(rng.randint(4, 10))
    ]
    found = Rivals(machine, load, endless).differences(400 * STEP_S)
    return max((max(each) - min(each) for each in found if each), default=0.0)


@pytest.mark.parametrize(("cores", "seats"), [(1, 3), (2, 2)])
@pytest.mark.parametrize("policy", ["fair", "mlfq"])
def test_two_backlogged_sessions_differ_by_the_bound_at_most(
    bench: Bench, rng: random.Random, policy: str, cores: int, seats: int
) -> None:
    """The bound of sched/fair.py, with the seats of all cores."""
    machine = bench(policy, (cores, seats, 12_000), sequences=64, starvation_s=1000.0)
    found = rivals(machine, rng, 1 if cores == 1 else 2 * cores)
    assert found <= bound(QUANTUM, cores * seats, LONGEST + TEMPLATE)


def test_in_turn_of_arrival_they_differ_without_bound(bench: Bench, rng: random.Random) -> None:
    """A test of the test."""
    machine = bench("fcfs", (1, 1, 12_000), sequences=64, starvation_s=1000.0)
    assert rivals(machine, rng, 1) > bound(QUANTUM, 1, LONGEST + TEMPLATE)


# The same again.


def exact(rng: random.Random) -> list[Work]:
    """Some of them sampled, and deterministic: these alone are promised to say the same again."""
    load = works(rng, 5, 7, 40)
    return [
        work._replace(goal=(("deterministic", True), ("temperature", 1.0), ("seed", number))) if number % 2 else work
        for number, work in enumerate(load)
    ]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_again_is_the_same_again(bench: Bench, rng: random.Random, policy: str) -> None:
    """On a real engine that is not the trace: when a message is heard, and with it who is in which step, is the
    machine's. The same are how each ended, how many tokens each made, and of the deterministic every token."""
    load = exact(rng)
    runs = []
    for _ in range(2):
        game = Play(bench(policy, (1, 3, 1024), starvation_s=PATIENCE), load)
        ran = game.run()
        logs = [game.machine.memory.logged[pid] for _, pid in ran]
        same = [log for log, work in zip(logs, game.load, strict=True) if "deterministic" in dict(work.goal)]
        assert same
        assert all(same)
        runs.append((statuses(ran), made(ran), same))
    assert runs[0] == runs[1]
