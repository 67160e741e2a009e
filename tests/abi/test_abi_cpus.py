"""Shares of the machine, and which CPUs are left to those who lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.cpus import leaders, share


@pytest.mark.parametrize(
    ("count", "cores", "threads", "expected"),
    [
        (2, 1, 2, {0}),
        (2, 1, 1, set()),  # the other is free
        (2, 2, 1, set()),  # every thread leads
        (4, 2, 2, {0, 2}),
        (4, 1, 3, set()),
        (8, 1, 8, {0}),
        (1, 1, 2, {0}),
        (3, 2, 2, {0, 1}),
    ],
)
def test_leaders(count: int, cores: int, threads: int, expected: set[int]) -> None:
    assert leaders(range(count), cores, threads) == expected


@given(st.lists(st.integers(0, 511), min_size=1, max_size=64, unique=True), st.integers(1, 80))
def test_shares_are_disjoint_and_lead_by_their_first(cpus: list[int], cores: int) -> None:
    shares = [share(cpus, rank, cores) for rank in range(cores)]
    together = [cpu for each in shares for cpu in each]
    assert len(together) == len({*together})
    assert {*together} <= {*cpus}
    assert leaders(cpus, cores, len(cpus) + 1) == {each[0] for each in shares if each}
