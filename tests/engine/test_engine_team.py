"""Which CPUs the thread that leads a core is put on, and that its helpers never inherit a narrow place."""

import os
import threading
from typing import Any

import pytest

from llmsh.engine.team import Team


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> Team:
    """Of a machine of four CPUs; `places` is where its thread was put, in order."""
    places: list[tuple[int, ...]] = []
    ended: list[int] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cpus: places.append(tuple(cpus)))
    made: Any = Team(2, 2, 4, lambda: ended.append(1))
    made.seen, made.ended = places, ended
    return made  # type: ignore[no-any-return]  # it carries the list


def place(team: Any, rank: int, cores: int, threads: int) -> tuple[int, ...]:
    """Where the thread is after a step was put there."""
    team.put(rank, cores, threads)
    return team.seen[-1] if team.seen else (0, 1, 2, 3)


def test_a_leader_is_alone_once_its_helpers_are_there(team: Team) -> None:
    assert place(team, 0, 1, 4) == (0, 1, 2, 3)
    assert place(team, 0, 1, 4) == (0,)
    assert place(team, 0, 1, 4) == (0,)


def test_a_larger_team_is_started_from_all_its_cpus(team: Team) -> None:
    for threads, expected in ((4, (0, 1, 2, 3)), (4, (0,)), (2, (0, 1, 2, 3)), (4, (0, 1, 2, 3)), (4, (0,))):
        assert place(team, 0, 1, threads) == expected


def test_another_share_has_helpers_of_its_own(team: Team) -> None:
    assert place(team, 0, 2, 2) == (0, 1)
    assert place(team, 0, 2, 2) == (0,)
    assert place(team, 1, 2, 2) == (2, 3)
    assert place(team, 1, 2, 2) == (2,)
    assert place(team, 1, 2, 1) == (2, 3)


def test_a_share_too_small_for_its_threads_is_all_cpus(team: Team) -> None:
    assert place(team, 1, 3, 3) == (0, 1, 2, 3)
    assert place(team, 1, 3, 3) == (1,)


def test_helpers_end_with_a_step_of_one_thread_and_with_a_pause(team: Any) -> None:
    place(team, 0, 1, 1)
    team.dismiss()
    assert (len(team.ended), team.helped) == (0, False)
    place(team, 0, 1, 4)
    assert team.helped
    assert place(team, 0, 1, 4) == (0,)
    place(team, 0, 1, 1)
    assert (len(team.ended), team.helped) == (1, False)
    # Others are started anew, from all CPUs.
    assert place(team, 0, 1, 4) == (0, 1, 2, 3)
    assert place(team, 0, 1, 4) == (0,)
    team.dismiss()
    team.dismiss()
    assert (len(team.ended), team.helped) == (2, False)


def test_helpers_of_another_thread_stay(team: Any) -> None:
    place(team, 0, 1, 4)
    other = threading.Thread(target=team.dismiss)
    other.start()
    other.join()
    assert (len(team.ended), team.helped) == (0, True)
