"""The bound of the virtual token counter, in a whole kernel: two sessions that always have somebody to serve
differ in service by no more than fair.py says, whatever else comes."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.backlog import Guest, Rivals, bound, guests
from tests.support.machine import Machine

WIDE = Options(cells=200_000, context=8000)
TEMPLATE = 20
"""Tokens that the fake model's template adds."""
DRAWN = settings(
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def differences(policy: str, quantum: int, seats: int, load: list[Guest], cores: int = 1) -> list[list[float]]:
    """See Rivals; the seats are those of one core."""
    made = Settings(strict=True, policy=policy, batch=seats, quantum=quantum, starvation_s=1000.0)
    machine = Machine(WIDE._replace(cores=cores), settings=made)
    endless = 1 if cores == 1 else 2 * cores
    return Rivals(machine, load, endless).differences(8.0 / cores)


def widest(found: list[list[float]]) -> float:
    """In any interval in which both were backlogged, so from the lowest to the highest."""
    return max((max(each) - min(each) for each in found if each), default=0.0)


def allowed(quantum: int, seats: int, load: list[Guest]) -> float:
    return bound(quantum, seats, TEMPLATE + max([50, *(guest.prompt for guest in load)]))


@pytest.mark.parametrize("policy", ["fair", "mlfq"])
@pytest.mark.parametrize("seats", [1, 4])
@settings(DRAWN, max_examples=8)
@given(st.sampled_from((4, 16)), guests)
def test_two_backlogged_sessions_differ_by_the_bound_at_most(
    policy: str, seats: int, quantum: int, load: list[Guest]
) -> None:
    found = differences(policy, quantum, seats, load)
    assert sum(map(len, found)) == 80, "both are backlogged all the time"
    assert widest(found) <= allowed(quantum, seats, load)


@pytest.mark.parametrize("policy", ["fair", "mlfq"])
@pytest.mark.parametrize(("cores", "seats"), [(2, 1), (2, 4), (3, 2)])
@settings(DRAWN, max_examples=4)
@given(st.sampled_from((4, 16)), guests)
def test_on_several_cores_they_do_with_the_seats_of_all(
    policy: str, cores: int, seats: int, quantum: int, load: list[Guest]
) -> None:
    """While each has somebody on each core, which is nearly always: loads are evened out by what sessions deserve."""
    found = differences(policy, quantum, seats, load, cores)
    assert widest(found) <= allowed(quantum, cores * seats, load)


@pytest.mark.parametrize(("cores", "seats"), [(1, 4), (2, 2)])
def test_in_turn_of_arrival_they_differ_without_bound(cores: int, seats: int) -> None:
    """A test of the test."""
    crowd = [Guest(0.0, 0, 50, 5000, 0)] * 4
    found = differences("fcfs", 16, seats, crowd, cores)
    assert widest(found) > allowed(16, cores * seats, crowd)
