"""Goals on cores: who runs where, and what a newcomer would break."""

from hypothesis import given
from hypothesis import strategies as st

from llmsh.kernel.feasible import Job, assign, missed


def test_each_goes_where_it_ends_first() -> None:
    places = assign([Job(9, 5), Job(7, 5), Job(20, 1)], [0.0, 0.0])
    assert [place.end for place in places] == [5, 5, 6]
    assert places[0].core != places[1].core


def test_a_core_that_is_not_free_yet_is_taken_later() -> None:
    assert assign([Job(9, 5)], [3.0, 1.0]) == [(1, 6.0)]


def test_who_has_a_core_stays_unless_another_is_better() -> None:
    assert assign([Job(9, 5, 1)], [0.0, 0.0])[0].core == 1
    assert assign([Job(9, 5, 1)], [0.0, 0.2])[0].core == 1
    assert assign([Job(9, 5, 1)], [0.0, 1.0])[0].core == 0
    assert assign([Job(9, 5, 1, True)], [0.0, 1.0])[0].core == 1


def test_what_would_be_missed() -> None:
    assert missed([Job(6, 5), Job(6, 5)], [0.0, 0.0]) is None
    assert missed([Job(6, 5), Job(6, 5)], [0.0]) == (1, 10)
    assert missed([Job(6, 5), Job(3, 2)], [0.0]) == (0, 7), "it would break the first's"
    assert missed([Job(3, 5), Job(20, 2)], [0.0]) is None, "the first is late whether it comes or not"


jobs = st.lists(st.builds(Job, due=st.integers(1, 50), work=st.integers(1, 9), core=st.integers(-1, 2)), max_size=9)


@given(jobs, st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_no_two_at_a_time_and_none_idle_before_another_ends(some: list[Job], free: list[int]) -> None:
    places = assign(some, [float(each) for each in free])
    for core, since in enumerate(free):
        here = sorted((place.end, job.work) for place, job in zip(places, some, strict=True) if place.core == core)
        ends = [float(since)]
        for end, work in here:
            assert end == ends[-1] + work
            ends.append(end)


@given(jobs)
def test_on_one_core_it_is_the_test_of_liu_and_layland(some: list[Job]) -> None:
    here = [job._replace(core=-1) for job in some]
    ends = assign(here, [0.0])
    demand = all(sum(job.work for job in here if job.due <= each.due) <= each.due for each in here)
    assert all(place.end <= job.due for place, job in zip(ends, here, strict=True)) == demand
