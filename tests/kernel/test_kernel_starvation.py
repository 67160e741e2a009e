"""How long somebody who could run is without a token: many at once, beside the foreground, under every policy."""

from collections.abc import Callable

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings
from tests.support.machine import Machine

SLOW = Options(cells=200_000, context=20_000, ms=40.0)
QUICK = SLOW._replace(ms=10.0)
PATIENCE = 10.0
LOOK_S = 0.5
"""How often the kernel looks who is overdue."""


def machine(policy: str, seats: int, options: Options = SLOW, **more: float) -> Machine:
    made = {"starvation_s": PATIENCE, **more}
    return Machine(options, settings=Settings(strict=True, policy=policy, batch=seats, **made))  # type: ignore[arg-type]  # fields of Settings


def crowd(machine: Machine, many: int, nice: Callable[[int], int] = lambda number: 0) -> list[int]:
    client = machine.client(pid=200, sid=200)
    return [client.run("ask", "x", nice=nice(number)) for number in range(many)]


def terminals(machine: Machine, many: int) -> list[int]:
    clients = [machine.client(pid=300 + n, sid=300 + n, tty=f"pts/{n}") for n in range(many)]
    for client in clients:
        client.peer.fg = True
    return [client.run("ask", "endless") for client in clients]


def made(machine: Machine, pids: list[int]) -> list[int]:
    return [machine.kernel.table.get(pid).tokens_out for pid in pids]


def longest(machine: Machine, seconds: float) -> float:
    """The longest time in which one who could run had no token, of everybody, in so many seconds."""
    host, found = machine.kernel.hosts["fake"], 0.0
    for _ in range(int(seconds * 4)):
        machine.go(0.25)
        streams = [stream for core in host.cores.values() for stream in core.queue.streams.values()]
        found = max([found, *(machine.clock.now() - stream.task.since for stream in streams)])
    machine.sound()
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_those_who_are_overdue_together_all_have_their_turns(policy: str) -> None:
    """A round of a quantum for each takes 26 s here, and a round of one token 1.6 s."""
    m = machine(policy, 1)
    crowd(m, 40, nice=lambda number: number % 20)
    assert PATIENCE / 2 < longest(m, 60) <= PATIENCE


def test_when_a_round_of_one_token_is_longer_than_anybody_should_wait_nobody_waits_for_two() -> None:
    m = machine("fair", 1, SLOW._replace(ms=200.0))
    crowd(m, 60)
    m.go(60)
    first = longest(m, 40)
    assert PATIENCE < first <= 60 * 0.2 + 2 * LOOK_S


def test_who_only_scores_comes_first_once_each_time_it_has_waited_too_long() -> None:
    """It makes no token that could end its haste."""
    m = machine("fcfs", 1)
    crowd(m, 3)
    m.go(1)
    client = m.client(pid=200, sid=200)
    pid = client.run("sorts", "", stdin="client", options={"lines": True})
    for number in range(1, 4):
        began = m.clock.now()
        client.call("write", b"it is good\n", pid=pid, fd=0)
        m.clock.run_until(lambda said=number: client.out.get(pid, b"").count(b"\n") == said)  # type: ignore[misc]  # bound at once
        assert m.clock.now() - began > PATIENCE / 2
        stream = m.kernel.table.get(pid).stream
        assert stream is not None
        assert stream.task.boost == 0


# Beside the foreground.


@pytest.mark.parametrize(("seats", "front"), [(1, 1), (1, 2), (2, 2), (2, 4)])
@pytest.mark.parametrize("policy", POLICIES)
def test_beside_a_foreground_that_has_all_seats_nobody_waits_longer_than_the_bound(
    policy: str, seats: int, front: int
) -> None:
    m = machine(policy, seats, QUICK, latency_ms=15.0)
    persons = terminals(m, front)
    back = crowd(m, 12)
    before = made(m, persons)
    assert PATIENCE / 2 < longest(m, 40) <= PATIENCE
    assert min(made(m, back)) >= 3
    rate = 1.0 if seats == 1 else 2 / (1 + 0.05)
    # One token each, and no more, is theirs; of two seats one is empty for a step when somebody else takes it.
    assert sum(made(m, persons)) - sum(before) >= 0.92 * rate * 40 / 0.01


@pytest.mark.parametrize("policy", POLICIES)
def test_one_who_types_again_and_again_leaves_every_other_token_to_who_waited_too_long(policy: str) -> None:
    """A loop in a shell: each of its processes ends before its first tokens are over."""
    m = machine(policy, 1, QUICK)
    back = crowd(m, 8)
    client = m.client(pid=300, sid=300, tty="pts/1")
    client.peer.fg = True
    for _ in range(60):
        pid = client.run("ask", params={"max_tokens": 50})
        assert longest(m, 0.5) <= PATIENCE
        m.clock.run_until(lambda pid=pid: client.exited(pid) is not None)  # type: ignore[misc]  # mypy knows no such lambda
    assert min(made(m, back)) >= 2


@pytest.mark.parametrize("policy", POLICIES)
def test_those_who_type_at_the_same_time_take_turns(policy: str) -> None:
    """Five on one seat: the last begins after a lease of each of the others, and not after all their first tokens."""
    m = machine(policy, 1)
    persons = terminals(m, 5)
    m.go(5 * 16 * 0.04 + 0.5)
    counts = made(m, persons)
    assert min(counts) >= 14
    m.go(5 * 48 * 0.04)
    assert min(made(m, persons)) >= 60
    m.sound()


@pytest.mark.parametrize("policy", ["fair", "deadline", "rr", "mlfq"])
def test_two_terminals_on_one_seat_both_go_on(policy: str) -> None:
    m = machine(policy, 1, QUICK)
    persons = terminals(m, 2)
    m.go(3)
    before = made(m, persons)
    m.go(20)
    one, two = (after - start for after, start in zip(made(m, persons), before, strict=True))
    assert min(one, two) >= (0.5 if policy == "mlfq" else 0.8) * max(one, two) > 400  # levels are long turns


def test_who_fits_beside_the_pace_has_its_share_of_the_only_seat() -> None:
    """Eight to one, as on a core of many seats; and the foreground has a token in every second step at least."""
    m = machine("fair", 1, QUICK)
    (person,) = terminals(m, 1)
    (back,) = crowd(m, 1)
    m.go(3)
    before = made(m, [person, back])
    m.go(40)
    front, rest = (after - start for after, start in zip(made(m, [person, back]), before, strict=True))
    assert front / rest == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_guest_keeps_its_seat_for_a_step_whatever_the_policy_would_take_from_it(policy: str) -> None:
    """Its token may cost it the place that it had its turn for."""
    m = machine(policy, 1, QUICK)
    persons = terminals(m, 1)
    back = crowd(m, 3)
    m.go(40)
    assert min(made(m, back)) > 0
    assert sum(made(m, persons + back)) >= 0.95 * 40 / 0.01
    m.sound()


@pytest.mark.parametrize("policy", ["fair", "rr", "mlfq"])
def test_two_of_the_background_share_the_core_that_has_no_foreground(policy: str) -> None:
    m = machine(policy, 1, QUICK._replace(cores=2), latency_ms=15.0)
    terminals(m, 1)
    pids = [m.client(pid=n, sid=n).run("ask", "x") for n in (1, 2)]
    m.go(3)
    before = made(m, pids)
    m.go(20)
    one, two = (after - start for after, start in zip(made(m, pids), before, strict=True))
    assert min(one, two) >= 0.8 * max(one, two) > 500
