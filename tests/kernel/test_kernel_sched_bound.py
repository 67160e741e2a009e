"""The bound of the virtual token counter, in a whole kernel: two sessions that always have somebody to serve
differ in service by no more than fair.py says, whatever else comes."""

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llmsh.drivers.fakecore import Options
from llmsh.kernel.rates import INPUT_COST
from llmsh.kernel.settings import Settings
from tests.support.machine import Machine

WIDE = Options(cells=200_000, context=8000)
TEMPLATE = 20
"""Tokens that the fake model's template adds."""


class Guest(NamedTuple):
    """A process that comes beside the one of its session that never ends."""

    at: float
    session: int
    prompt: int
    tokens: int
    nice: int


guests = st.lists(
    st.builds(
        Guest,
        at=st.sampled_from((0.0, 0.3, 1.0, 2.0, 4.0)),
        session=st.integers(0, 1),
        prompt=st.sampled_from((1, 50, 400, 1500)),
        tokens=st.integers(1, 300),
        nice=st.sampled_from((0, 0, -5, 10)),
    ),
    max_size=12,
)


def bound(quantum: int, seats: int, longest: int) -> float:
    """Of the difference in service of two sessions of weight 1: see the first words of sched/fair.py."""
    return 2 * ((2 * seats + 1) * quantum + seats * INPUT_COST * longest)


def differences(policy: str, quantum: int, seats: int, load: list[Guest], seconds: float = 8.0) -> list[float]:
    """How far the first session is ahead of the second, after every tenth of a second in which both had
    somebody to serve."""
    made = Settings(strict=True, policy=policy, batch=seats, quantum=quantum, starvation_s=1000.0)
    m = Machine(WIDE, settings=made)
    clients = [m.client(), m.client(pid=200, sid=200)]
    ran = [[m.kernel.table.get(client.run("ask", "endless"))] for client in clients]
    left = sorted(load)
    out: list[float] = []
    began = m.clock.now()
    for _ in range(int(seconds * 10)):
        while left and m.clock.now() - began >= left[0].at:
            guest = left.pop(0)
            client = clients[guest.session]
            params = {"max_tokens": guest.tokens}
            pid = client.run("ask", "x" * guest.prompt, nice=guest.nice, params=params)
            ran[guest.session].append(m.kernel.table.get(pid))
        m.go(0.1)
        one, two = (sum(each.tokens_out + INPUT_COST * each.tokens_in for each in own) for own in ran)
        out.append(one - two)
    m.sound()
    return out


@pytest.mark.parametrize("policy", ["fair", "mlfq"])
@pytest.mark.parametrize("seats", [1, 4])
@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from((4, 16)), guests)
def test_two_backlogged_sessions_differ_by_the_bound_at_most(
    policy: str, seats: int, quantum: int, load: list[Guest]
) -> None:
    longest = TEMPLATE + max([50, *(guest.prompt for guest in load)])
    found = differences(policy, quantum, seats, load)
    # In any interval, so from the lowest to the highest.
    assert max(found) - min(found) <= bound(quantum, seats, longest)


def test_in_turn_of_arrival_they_differ_without_bound() -> None:
    """A test of the test."""
    crowd = [Guest(0.0, 0, 50, 5000, 0)] * 4
    found = differences("fcfs", 16, 4, crowd)
    assert max(found) - min(found) > bound(16, 4, 50 + TEMPLATE)
