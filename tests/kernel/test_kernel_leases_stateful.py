"""The lease protocol, played at random over the fake device: no token lost, repeated or delivered twice."""

import random

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.leaseplay import Leases


def _play(machine: type[Leases], examples: int, steps: int) -> None:
    made = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=True,
    )
    run_state_machine_as_test(machine, settings=made)


def test_whatever_happens_nothing_is_lost_repeated_or_kept() -> None:
    _play(Leases, examples=100, steps=40)


@pytest.mark.soak
def test_whatever_happens_for_long(rng: random.Random) -> None:
    _play(seed(rng.getrandbits(64))(Leases), examples=20_000, steps=80)
