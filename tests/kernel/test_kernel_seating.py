"""Who may be in a core's steps at the same time, as a function."""

from llmsh.kernel.sched import Task
from llmsh.kernel.seating import Seating, generates
from llmsh.kernel.stream import GENERATE, SCORE, Stream


def stream(ident: int, left: int, goal: str = GENERATE) -> Stream:
    """One with so much input still to compute."""
    made = Stream(ident, Task(ident, "one"), exact=False)
    made.append([1] * (left + 1))
    made.goal = goal
    return made


def rank(each: Stream) -> tuple[float, ...]:
    return (float(each.ident),)


def test_who_generates_takes_a_seat_and_who_computes_input_a_place() -> None:
    seating = Seating(4)
    seating.set(1, 3)
    sitting, reading = stream(1, 0), stream(2, 10)
    assert generates(sitting)
    assert not generates(reading)
    assert not generates(stream(3, 0, SCORE))
    assert seating.free(sitting, [], 0, 1)
    assert not seating.free(stream(4, 0), [sitting], 0, 1)
    assert seating.free(reading, [sitting], 0, 1)
    assert seating.free(stream(4, 0), [reading], 0, 1)
    assert not seating.free(stream(4, 9), [sitting, reading], 1, 1)


def test_who_is_too_many_is_who_deserves_least() -> None:
    seating = Seating(16)
    seating.set(2, 16)
    all_of_them = [stream(3, 0), stream(1, 0), stream(4, 5), stream(2, 0)]
    assert [each.ident for each in seating.over(all_of_them, rank, seating.seats)] == [3]
    all_of_them[0].halting = True
    assert seating.over(all_of_them, rank, seating.seats) == []
    assert seating.over(all_of_them[:2], rank, seating.seats) == []


def test_there_are_never_fewer_places_than_seats() -> None:
    seating = Seating(4)
    seating.set(32, 16)
    assert (seating.seats, seating.places) == (32, 32)
    assert seating.free(stream(99, 0), [stream(n, 0) for n in range(31)], 0, 32)
