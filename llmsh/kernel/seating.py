"""Who may be in a core's steps at the same time: `seats` who generate, `places` in all.

A small batch of those who generate may be slower than the same ones in turn; input fills a step better
the more of it there is, and scores are input. It grants nothing, and knows no cell and no policy.
"""

from collections.abc import Callable, Collection

from llmsh.kernel.stream import GENERATE, Stream


def generates(stream: Stream) -> bool:
    """Whether the next thing it makes is a token."""
    return stream.goal == GENERATE and stream.ready_to_score


class Seating:
    """Of one core."""

    def __init__(self, seats: int) -> None:
        self.seats = self.places = seats

    def set(self, seats: int, places: int) -> None:
        """From now on."""
        self.seats, self.places = seats, max(seats, places)

    def free(self, stream: Stream, leased: Collection[Stream], scoring: int, seats: int) -> bool:
        """Whether there is one of so many seats, or a place, for a stream that has no lease."""
        if len(leased) + scoring >= self.places:
            return False
        return seats >= self.places or not generates(stream) or sum(map(generates, leased)) < seats

    def over(self, leased: Collection[Stream], rank: Callable[[Stream], tuple[float, ...]], seats: int) -> list[Stream]:
        """Who is too many for so many seats: of those who generate, the ones that deserve least."""
        if len(leased) <= seats:
            return []
        sitting = [each for each in leased if generates(each) and not each.halting]
        return sorted(sitting, key=rank)[seats:] if len(sitting) > seats else []
