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

    def free(self, stream: Stream, leased: Collection[Stream], scoring: int) -> bool:
        """Whether there is one for a stream that has no lease."""
        if len(leased) + scoring >= self.places:
            return False
        return self.seats >= self.places or not generates(stream) or sum(map(generates, leased)) < self.seats

    def over(self, leased: Collection[Stream], rank: Callable[[Stream], tuple[float, ...]]) -> list[Stream]:
        """Who is too many: of those who generate, the ones that deserve least."""
        if len(leased) <= self.seats:
            return []
        sitting = [each for each in leased if generates(each) and not each.halting]
        return sorted(sitting, key=rank)[self.seats :] if len(sitting) > self.seats else []
