"""Lengths of the trace's table, and arrivals by seed: what both sides of a mix are played."""

import random
from itertools import pairwise
from statistics import fmean

import pytest

from bench import arrivals, heavy_tail, lengths, prose
from bench.lengths import Length
from bench.peer import Answer


def test_a_sample_keeps_the_shape() -> None:
    requests = [Length("conv", size, 0) for size in range(1000)]
    random.Random(1).shuffle(requests)
    found = [each.prompt for each in lengths.sampled(requests, 10)]
    assert found == [50, 150, 250, 350, 450, 550, 650, 750, 850, 950]
    assert lengths.sampled(requests, 1000) == sorted(requests)


def test_lengths_are_divided_and_never_nothing() -> None:
    assert lengths.scaled(Length("code", 1600, 7), 16) == Length("code", 100, 1)
    assert lengths.scaled(Length("code", 3, 33), 16) == Length("code", 1, 2)


def test_the_table_is_of_both_traces_heavy_tailed_and_says_whose_it_is() -> None:
    table = lengths.table()
    assert {each.trace for each in table} == {"code", "conv"}
    assert len(table) == 2 * lengths.OF_EACH
    totals = sorted(each.total for each in table)
    assert totals[0] > 1
    assert totals[-1] > 4 * fmean(totals), "the tail"
    with open(lengths.FILE, encoding="ascii") as file:
        assert file.read().startswith(lengths.NOTICE)


def test_a_mix_is_the_same_by_seed_and_even_when_it_is_small() -> None:
    assert lengths.mix(40, 7) == lengths.mix(40, 7) != lengths.mix(40, 8)
    assert sorted(lengths.mix(40, 7)) == sorted(lengths.mix(40, 8))
    small, all_of_it = (fmean(each.total for each in lengths.mix(count, 1)) for count in (40, 2 * lengths.OF_EACH))
    assert small == pytest.approx(all_of_it, rel=0.05)
    assert len(lengths.mix(1000, 3)) == 1000


def test_arrivals_are_poisson_and_the_same_by_seed() -> None:
    times = arrivals.poisson(4.0, 4001, random.Random(5))
    assert times == arrivals.poisson(4.0, 4001, random.Random(5))
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] == 0.0
    assert min(gaps) > 0
    assert fmean(gaps) == pytest.approx(0.25, rel=0.05)
    # An exponential's standard deviation is its mean.
    assert fmean((gap - 0.25) ** 2 for gap in gaps) ** 0.5 == pytest.approx(0.25, rel=0.1)


def test_requests_carry_their_lengths() -> None:
    played = heavy_tail.requests(20, 2.0, 3)
    assert played == heavy_tail.requests(20, 2.0, 3)
    assert [len(each.text.split()) for each in played] == [each.prompt for each in lengths.mix(20, 3)]
    assert {each.at for each in heavy_tail.requests(5, 0.0, 3)} == {0.0}


def test_texts_are_as_long_as_asked_by_the_counter_given() -> None:
    def count(text: str) -> int:
        return sum(1 + (len(word) > 5) for word in text.split())

    found = prose.exact(100, random.Random(2), count)
    assert 98 <= count(found) <= 100
    assert len(prose.text(30, random.Random(2)).split()) == 30


def test_the_short_half_is_judged_by_itself() -> None:
    played = heavy_tail.requests(4, 0.0, 1)
    order = sorted(played, key=lambda each: len(each.text.split()) + each.tokens)
    slow = set(order[2:])
    done = [Answer(10.0, 10.5, 15.0 if each in slow else 11.0, each.tokens, "") for each in played]
    found = heavy_tail.summary(played, done)
    assert (found["mean"], found["short_p99"], found["unfinished"]) == (3.0, 1.0, 0)
    assert found["p99"] == pytest.approx(5.0)
