"""Images of a swap that stands alone: what counts, who goes to the file, who is forgotten, who is kept for the disk."""

from array import array
from typing import Any

from llmsh.abi.lease import Done, Transfer
from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.sched import Task
from llmsh.kernel.stream import Stream
from llmsh.kernel.swap import Limits, Swap


class Alone:
    """Port, core and sharing of a swap that stands alone: keeps what is posted, forgets what it is told to."""

    def __init__(self, memory: int, file: int) -> None:
        self.posted: list[Transfer] = []
        self.ends: list[Any] = []
        self.forgotten: list[Holder] = []
        self.sharing = self
        self.swap = Swap(self, {0: self}, Limits(memory, file), lambda: None)  # type: ignore[arg-type]  # what it uses

    def now(self) -> float:
        return 0.0

    def input_ms(self, tokens: int) -> float:
        return 0.0

    def operation(self, holder: Holder, ended: Any) -> int:
        self.ends.append((holder, ended))
        return len(self.ends)

    def post(self, message: Transfer) -> None:
        self.posted.append(message)

    def rank(self, stream: Stream) -> tuple[float, ...]:
        return (stream.ident,)

    def rebuild(self, stream: Holder) -> None:
        self.forgotten.append(stream)
        stream.image = 0
        self.swap.gone(stream)

    def lose(self, keeper: Keeper) -> None:
        for user in list(keeper.users):
            self.rebuild(user)
        self.rebuild(keeper)

    def saved(self, holder: Holder, q: int, size: int) -> None:
        holder.q, holder.core, holder.image = q, 0, 1
        self.swap.done(holder, Done(0, q, size=size))

    def end(self, error: str = "") -> None:
        holder, ended = self.ends[-1]
        ended(holder, len(self.ends), error, [])


def family() -> tuple[Keeper, list[Stream]]:
    """A keeper, and two streams that are based on it."""
    keeper = Keeper(array("i", range(20)), "k", 0)
    keeper.computed = 20
    streams = [Stream(ident, Task(ident, "s"), exact=False) for ident in (1, 2)]
    for stream in streams:
        stream.client = type("Nobody", (), {"away": False})()
        stream.base, stream.shared, stream.computed = keeper, 20, 40
        keeper.users.add(stream)
    return keeper, streams


def test_a_call_that_fails_forgets_what_it_was_about_once() -> None:
    alone = Alone(memory=100, file=1000)
    keeper, (one, two) = family()
    for q, holder in enumerate((keeper, one, two), 1):
        alone.saved(holder, q, 60)
    assert [each.qs for each in alone.posted] == [[1]]
    alone.end()
    assert alone.posted[-1].write
    while alone.swap._call:
        alone.end("No space left on device")
    assert alone.swap.check() == []
    assert alone.swap.extents.used == sum(each.size for each in alone.swap._placed.values())


def test_without_a_file_a_keeper_takes_along_who_is_based_on_it() -> None:
    alone = Alone(memory=100, file=0)
    keeper, (one, two) = family()
    for q, holder in enumerate((keeper, one, two), 1):
        alone.saved(holder, q, 60)
    assert keeper in alone.forgotten
    assert alone.swap.check() == []
    assert alone.swap.used <= 100


def test_what_is_fetched_stays_until_it_is_loaded_or_somebody_needier_of_the_core_comes() -> None:
    alone = Alone(memory=70, file=1000)
    _, streams = family()
    for q, stream in enumerate(streams, 1):
        stream.base = None
        alone.saved(stream, q, 60)
    needy, other = streams
    while alone.swap._call:
        alone.end()
    swap = alone.swap
    assert swap.in_memory(other)
    assert not swap.ready(needy, 0, [needy])
    while alone.swap._call:  # the one is brought back, and the other goes
        alone.end()
    assert swap.in_memory(needy)
    asked = len(alone.posted)
    assert not swap.ready(other, 0, [other])
    assert len(alone.posted) == asked  # it waits until the needier has its image
    assert swap.ready(needy, 0, [needy])
    swap.withdraw(needy)
    assert not swap.ready(other, 0, [other])
    assert len(alone.posted) == asked + 1


def test_who_has_gone_is_not_kept_for_the_disk() -> None:
    alone = Alone(memory=100, file=1 << 20)
    for q in range(1, 41):
        stream = family()[1][0]
        stream.base = None
        alone.saved(stream, q, 60)
        if q % 3 == 0 and alone.swap._call:
            alone.end()
        alone.swap.gone(stream)
        assert alone.swap.check() == []
    while alone.swap._call:
        alone.end()
    assert not alone.swap._holders


def test_to_make_room_looks_at_few() -> None:
    alone = Alone(memory=50 * 100, file=1 << 30)
    looks = 0

    class Sleeper:
        @property
        def away(self) -> bool:
            nonlocal looks
            looks += 1
            return True

    for q in range(1, 1001):
        stream = Stream(q, Task(q, "s"), exact=False)
        stream.computed = 40
        stream.client = Sleeper()  # type: ignore[assignment]  # all that is asked
        alone.saved(stream, q, 100)
    assert alone.swap.used == 1000 * 100  # the disk has not ended its first call
    assert looks <= 15 * 1000
    assert alone.swap.check() == []


def test_an_image_of_two_counts_once_and_is_free_when_both_have_left() -> None:
    alone = Alone(memory=0, file=1000)
    _, (parent, child) = family()
    alone.saved(parent, 1, 60)
    alone.swap.forked(parent, child)
    alone.saved(child, 2, 60)
    alone.swap.unpin(parent)
    assert alone.swap.used == 60
    alone.swap.gone(parent)
    assert alone.swap.used == 60
    assert alone.swap.check() == []
    alone.swap.gone(child)
    assert alone.swap.used == 0


def test_an_image_of_two_is_in_memory_until_both_are_written() -> None:
    alone = Alone(memory=100, file=1000)
    _, (parent, child) = family()
    other = Stream(3, Task(3, "s"), exact=False)
    other.client = parent.client
    alone.saved(parent, 1, 60)
    alone.swap.forked(parent, child)
    alone.saved(child, 2, 60)
    alone.swap.unpin(parent)
    alone.saved(other, 3, 60)
    used = [alone.swap.used]
    while alone.swap._call:
        alone.end()
        used.append(alone.swap.used)
        assert alone.swap.check() == []
    assert used == [120, 120, 60]


def test_where_the_file_is_full_who_has_the_highest_score_loses_its_image() -> None:
    alone = Alone(memory=100, file=120)
    streams = [family()[1][0] for _ in range(4)]
    for q, (stream, oom) in enumerate(zip(streams, (0, 300, -5, 0), strict=True), 1):
        stream.base, stream.oom = None, oom
        alone.saved(stream, q, 60)
        while alone.swap._call:
            alone.end()
    # The file has room for two, and the memory for one.
    assert alone.forgotten == [streams[1]]
    assert alone.swap.check() == []
