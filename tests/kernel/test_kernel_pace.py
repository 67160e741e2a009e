"""The pace of a core: what steps cost, who may run beside the foreground, and the gaps between its tokens."""

from itertools import pairwise
from typing import Any

import pytest

from llmsh.abi import lease
from llmsh.drivers.fakecore import Options
from llmsh.kernel.pace import Steps
from llmsh.kernel.rates import MEMORY_S
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine

HEAVY = Options(cells=100_000, context=20_000, ms=20.0, each=12.0, prefill=1.0)
"""A step of eight takes 104 ms, and 80 tokens of a prompt make any step too long."""


class Gaps:
    """Hears the steps of a device: when each sequence makes a token."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.at: dict[int, list[float]] = {}
        device = machine.device
        say = device._say

        def heard(message: Any) -> None:
            if isinstance(message, lease.Step):
                for row in message.rows:
                    self.at.setdefault(row[0], []).append(machine.clock.now())
            say(message)

        device._say = heard  # type: ignore[method-assign]  # the test listens

    def of(self, pid: int) -> list[float]:
        """Milliseconds between two tokens of a process, in order."""
        stream = self.machine.kernel.table.get(pid).stream
        assert stream is not None
        times = self.at.get(stream.q, [])
        return [round((after - before) * 1000, 6) for before, after in pairwise(times)]


def crowd(machine: Machine, many: int = 12, text: str = "x" * 2000) -> list[int]:
    client = machine.client(pid=200, sid=200)
    return [client.run("ask", text) for _ in range(many)]


def person(machine: Machine) -> Client:
    client = machine.client(pid=300, sid=300, tty="pts/1")
    client.peer.fg = True
    return client


def machine(policy: str = "fair", options: Options = HEAVY, **more: Any) -> Machine:
    return Machine(options, settings=Settings(strict=True, policy=policy, **more))


# What steps cost.


def test_nothing_is_known_before_a_step_was_seen() -> None:
    steps = Steps()
    assert (steps.ms(3), steps.rate) == (0.0, 0.0)


def test_between_two_that_were_seen_and_beyond() -> None:
    steps = Steps()
    steps.saw(1, 10.0)
    assert steps.rate == 100.0
    assert steps.ms(4) == 40.0, "as dear as the only one known, until tried"
    steps.saw(5, 30.0)
    assert [steps.ms(n) for n in (1, 3, 5, 7)] == [10.0, 20.0, 30.0, 40.0]


def test_a_step_that_is_cheaper_with_more_rows_is_not_said_to_cost_nothing() -> None:
    steps = Steps()
    steps.saw(2, 29.0)
    steps.saw(8, 25.0)
    assert steps.ms(16) == 25.0
    assert steps.ms(1) == 29.0


def test_the_mean_follows_the_machine() -> None:
    steps = Steps()
    for ms in (10.0, *([20.0] * 30)):
        steps.saw(2, ms)
    assert steps.ms(2) == pytest.approx(20, rel=0.01)


# In a whole kernel.


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("latency", [60.0, 100.0])
def test_the_foreground_keeps_its_pace_beside_many_long_prompts(policy: str, latency: float) -> None:
    m = machine(policy, latency_ms=latency)
    back = crowd(m)
    m.go(3)
    gaps = Gaps(m)
    front = person(m).run("ask")
    m.go(40)
    found = gaps.of(front)
    assert len(found) > 300
    # The first step with a number of rows that was never seen may be too long, and is not made again.
    slow = [gap for gap in found if gap > latency]
    assert len(slow) <= 3, slow
    assert sum(m.kernel.table.get(pid).tokens_in for pid in back) > 2000, "the room that is left is used"
    m.sound()


def test_without_a_target_the_batch_is_full() -> None:
    m = machine("fcfs", latency_ms=0)
    crowd(m, text="x")
    gaps = Gaps(m)
    front = person(m).run("ask")
    m.go(30)
    assert max(gaps.of(front)) > 150


def test_a_model_that_is_too_slow_for_company_serves_the_background_when_it_has_waited_too_long() -> None:
    m = machine(options=HEAVY._replace(ms=90.0, each=60.0), starvation_s=5.0)
    back = crowd(m, many=2, text="x")
    m.go(1)
    gaps = Gaps(m)
    front = person(m).run("ask")
    m.go(8)
    before = [m.kernel.table.get(pid).tokens_out for pid in back]
    m.go(30)
    after = [m.kernel.table.get(pid).tokens_out for pid in back]
    assert all(late > early for early, late in zip(before, after, strict=True))
    assert max(gaps.of(front)) <= 90 + 60, "one at a time, and the foreground goes on beside it"
    assert sum(gap > 100 for gap in gaps.of(front)) < len(gaps.of(front)) / 5
    m.sound()


@pytest.mark.parametrize("policy", ["fair", "rr"])
def test_without_a_foreground_nothing_is_held_back(policy: str) -> None:
    def made(latency: float) -> tuple[int, int]:
        m = machine(policy, latency_ms=latency)
        crowd(m)
        m.go(60)
        host = m.kernel.hosts["fake"]
        return host.tokens_in, host.tokens_out

    assert made(50.0) == made(0.0)


def test_when_the_foreground_has_ended_the_batch_fills_again() -> None:
    m = machine()
    back = crowd(m, text="x")
    m.go(2)
    client = person(m)
    pid = client.run("ask", params={"max_tokens": 200})
    m.clock.run_until(lambda: client.exited(pid) is not None)
    m.go(0.5)
    core = m.kernel.hosts["fake"].cores[0]
    assert len(core.leased) == len(back)
    assert core.queue.front == {}


def test_who_goes_into_the_foreground_while_running_is_given_the_pace() -> None:
    m = machine()
    crowd(m, text="x")
    client = m.client(pid=300, sid=300, tty="pts/1")
    pid = client.run("ask")
    m.go(4)
    client.peer.fg = True
    client.call("foreground", pgid=pid)
    m.go(1)
    gaps = Gaps(m)
    m.go(10)
    assert max(gaps.of(pid)) <= 100


@pytest.mark.parametrize(("latency", "together"), [(100.0, 5), (60.0, 3)])
def test_persons_who_have_just_typed_have_as_many_seats_as_keep_the_pace(latency: float, together: int) -> None:
    m = machine(latency_ms=latency)
    first = person(m)
    runs = [(first, first.run("ask", "x", params={"max_tokens": 40}))]
    m.go(0.1)
    core = m.kernel.hosts["fake"].cores[0]
    core.seating.set(1, 16)
    for number in range(4):
        other = m.client(pid=301 + number, sid=301 + number, tty=f"pts/{2 + number}")
        other.peer.fg = True
        runs.append((other, other.run("ask", "x", params={"max_tokens": 40})))
    m.go(0.5)
    assert len(core.leased) == together
    m.clock.run_until(lambda: all(client.exited(pid) for client, pid in runs), 60)
    m.sound()


def test_a_disturbance_that_is_over_does_not_keep_the_background_away() -> None:
    """Nobody makes the steps that could show that it is over."""
    steps = Steps()
    for n in range(50):
        steps.saw(1, 8.0, n / 100)
        steps.saw(2, 10.0, n / 100)
    for n in range(25):
        steps.saw(2, 300.0, 1 + n / 3)
    assert steps.ms(2, 10.0) > 250
    assert steps.ms(2, 10.0 + 0.5 * MEMORY_S) < 90
    assert steps.ms(3, 10.0 + 3 * MEMORY_S) == pytest.approx(steps.ms(2, 10.0 + 3 * MEMORY_S) + 5, rel=0.2)
    # What is seen still does not fade, and what was never shorter has nothing to fade to.
    for n in range(200):
        steps.saw(4, 100.0, n / 10)
    assert steps.ms(4, 20.0) == pytest.approx(100)
    assert steps.ms(4, 20.0 + 3 * MEMORY_S) == pytest.approx(100)


def test_steps_of_other_numbers_of_cores_and_threads_are_others() -> None:
    m = machine()
    crowd(m, many=3, text="x")
    m.go(2)
    pace = m.kernel.hosts["fake"].cores[0].pace
    slow = pace.steps.ms(3)
    pace.saw(lease.Step(0, 1000, 1.0, [(n, 0, 0, b"", 0) for n in range(3)], [], 10, 4, 2))
    assert pace.steps.ms(3) == 1.0
    m.go(1)
    assert pace.steps.ms(3) == pytest.approx(slow)


def test_the_background_comes_back_soon_after_a_disturbance() -> None:
    m = machine(options=HEAVY._replace(ms=10.0, each=1.0), latency_ms=50.0, starvation_s=1000.0)
    back = crowd(m, many=3, text="x")
    person(m).run("ask")
    m.go(3)
    pace = m.kernel.hosts["fake"].cores[0].pace
    for rows in (2, 3, 4):
        for _ in range(20):
            pace.saw(lease.Step(0, 1, 200.0, [(n, 0, 0, b"", 0) for n in range(-rows, 0)], [], 10, 1, 1))

    def made(seconds: float) -> int:
        before = sum(m.kernel.table.get(pid).tokens_out for pid in back)
        m.go(seconds)
        return sum(m.kernel.table.get(pid).tokens_out for pid in back) - before

    made(60)
    assert made(10) > 80
    m.sound()
