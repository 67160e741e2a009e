"""Images of one device: how many bytes they take in memory, which of them go to the swap file, and back.

Above the high watermark the least recently saved go until there are few enough; whose process waits for a person or
a message first, and what is only kept for who may come is forgotten. Without a file, when it is full, and where
computing costs less by the measured rates (restore.py), an image is forgotten, too: the log is computed again. Bytes
move within the engine; here is only who, where and when.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from llmsh.abi.lease import Done, Transfer
from llmsh.abi.limits import OOM_MAX
from llmsh.kernel.holder import Holder, line
from llmsh.kernel.images import Images
from llmsh.kernel.io.extents import Extents
from llmsh.kernel.io.queue import QUEUES, Queue, Request
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.port import Port
from llmsh.kernel.restore import Restore
from llmsh.kernel.stream import Stream
from llmsh.kernel.tax import Tax

LOW = 0.9
"""Of the high watermark: images go until no more than this is in memory."""


class Limits(NamedTuple):
    """Bytes in memory (0: no bound) and in the file (0: no file); how the file is read and written."""

    memory: int = 0
    file: int = 0
    order: str = "elevator"


class Sharing(Protocol):
    """What swap asks of sharing."""

    def lose(self, keeper: Keeper) -> None:
        """It cannot be brought back."""


class Claim(NamedTuple):
    """Images that a stream of a core waits for: they stay in memory until it has them."""

    core: int
    images: list[Holder]


class Core(Protocol):
    """What swap asks of a core."""

    def rank(self, stream: Stream) -> tuple[float, ...]:
        """Sorts streams by how little they deserve."""

    @property
    def sharing(self) -> Sharing:
        """Its keepers."""

    def rebuild(self, stream: Stream) -> None:
        """Forget the engine's copy of a stream."""


class Swap:
    """Of one device, over all its engines."""

    def __init__(self, port: Port, cores: Mapping[int, Core], limits: Limits, wake: Callable[[], None]) -> None:
        self.tax = Tax()
        self.restore = Restore(self.tax, port)
        self.memory = limits.memory
        self.extents = Extents(limits.file)
        self._port = port
        self._cores = cores
        self._wake = wake
        """Images may be there that were waited for."""
        self._order = limits.order
        self._queue: Queue = QUEUES[limits.order]()
        self._images = Images()
        """In memory."""
        self._placed: dict[Holder, Request] = {}
        """In the file, or on their way there or back."""
        self._claims: dict[Stream, Claim] = {}
        """As many as fit into memory, and one a core in any case: else those that fetch would chase each other's
        images out again without end."""
        self._pinned: Counter[Holder] = Counter()
        """Images that are being forked: they stay in memory until that is done."""
        self._call: list[Request] = []
        """What the engine is at."""
        self._holders: dict[int, Holder] = {}
        """Whose the requests are that wait or are under way, by q."""

    @property
    def used(self) -> int:
        """Bytes in memory."""
        return self._images.used

    # Images come and go.

    def done(self, holder: Holder, message: Done) -> None:
        """An operation of a holder has ended."""
        if not message.q and message.core < 0:  # of a call, all of whose images are on their way still
            if not message.error:
                self.restore.moved(self._call[0].write, sum(each.size for each in self._call), message.ms)
            return
        if not message.q:  # what was moved to close a hole went there and back
            self.tax.copied(message.cells, message.ms / 2)
            return
        if holder not in self._images:  # else it was moved to another core in its image, which copies nothing
            self.tax.copied(max(0, message.cells - holder.shared) or holder.image, message.ms)
        if message.size and holder.image and holder.q == message.q and holder not in self._placed:
            self._keep(holder, message.size)

    def _keep(self, holder: Holder, size: int) -> None:
        self._images.put(holder, size)
        self._relieve(holder)

    def gone(self, holder: Holder) -> None:
        """It has no image any more."""
        here = self._images.take(holder)
        placed = self._placed.pop(holder, None)
        if placed is None or placed in self._call:
            return
        if placed.write == here:  # to be written and still in memory, or to be read and not there yet
            self._queue.remove(placed)
            del self._holders[placed.q]
        self.extents.give(placed.offset, placed.size)

    def void(self, kept: set[Holder]) -> None:
        """The engine is gone, and with it all images and its file, but for those of whom the file is kept."""
        self._images = Images()
        self._placed = {holder: at for holder, at in self._placed.items() if holder in kept}
        self._holders.clear()
        self._claims.clear()
        self._call = []
        self._pinned.clear()
        self.extents = Extents(self.extents.capacity)
        for at in self._placed.values():
            self.extents.hold(at.offset, at.size)
        self._queue = QUEUES[self._order]()

    # Over the life of an engine.

    def stow(self) -> None:
        """All that is in memory goes to the file, or is forgotten; first what others begin with, without which theirs
        are worth nothing."""
        for holder in sorted(self._images, key=lambda each: (len(line(each)), _patience(each))):
            if holder in self._images and holder not in self._pinned:
                self._away(holder)

    @property
    def stays(self) -> bool:
        """Whether anything is in memory still, or on its way."""
        return bool(len(self._images) or self._call or len(self._queue))

    def resting(self) -> list[Holder]:
        """Who has an image in the file and nowhere else, and is not on the way back."""
        return [each for each, at in self._placed.items() if at.write and each not in self._images and not each.op]

    def returns(self, holder: Holder) -> int:
        """Another engine knows it, under another number, and is told of its image: the size."""
        at = self._placed[holder] = self._placed[holder]._replace(q=holder.q)
        return at.size

    def ready(self, stream: Stream, core: int, images: list[Holder]) -> bool:
        """Whether all these images, that a stream lacks on a core, can be loaded now; if not, they are on their way
        from the file, or will be once they have been brought whom somebody needier on that core waits for."""
        missing = [each for each in images if not self._at_hand(each)]
        if not missing:
            return True
        if stream in self._claims or self._may_claim(stream, core, images):
            self._claims[stream] = Claim(core, images)
            for each in missing:
                self._fetch(each)
        return False

    def _may_claim(self, stream: Stream, core: int, images: list[Holder]) -> bool:
        """Whether there is room for these; those of the core who deserve less than the stream give up theirs."""
        # As of now: were it as of when they came, one might wait for the memory of another who waits for its cells.
        rank = self._cores[core].rank
        others = [other for other, claim in self._claims.items() if claim.core == core]
        for other in sorted(others, key=rank, reverse=True):
            if self._fits(images) or rank(other) <= rank(stream):
                return self._fits(images)
            del self._claims[other]
        return True

    def _fits(self, images: list[Holder]) -> bool:
        claimed = {each for claim in self._claims.values() for each in claim.images}
        return not self.memory or sum(map(self._size, claimed.union(images))) <= self.memory * LOW

    def _size(self, holder: Holder) -> int:
        placed = self._placed.get(holder)
        return self._images.size(holder) if placed is None else placed.size

    def _at_hand(self, holder: Holder) -> bool:
        placed = self._placed.get(holder)
        # What waits to be written is still there: the writing is called off when it is loaded.
        return placed is None or (placed.write and placed not in self._call and holder in self._images)

    def _fetch(self, holder: Holder) -> None:
        placed = self._placed[holder]
        if placed.write and holder not in self._images:
            self._placed[holder] = placed._replace(write=False)
            self._add(holder, self._placed[holder])

    def fetch(self, holder: Holder) -> None:
        """Its image is wanted in memory, for a copy; it may have to leave again for others."""
        if holder in self._placed and not self._at_hand(holder):
            self._fetch(holder)

    def withdraw(self, stream: Stream) -> None:
        """It waits for no images any more: it has them, or wants nothing."""
        self._claims.pop(stream, None)

    def has(self, holder: Holder) -> bool:
        """Whether there is an image of it, in memory or in the file."""
        return holder in self._images or holder in self._placed

    def in_memory(self, holder: Holder) -> bool:
        """Whether it has an image that can be loaded or forked at once."""
        return holder in self._images and holder not in self._placed

    def keeps(self, holder: Holder) -> bool:
        """See port.Images."""
        return self.restore.keeps(holder)

    def reads(self, holder: Holder) -> bool:
        """See port.Images."""
        placed = self._placed.get(holder)
        there = placed is not None and placed.write and holder not in self._images
        return not there or self.restore.reads(holder, self._size(holder))

    def forked(self, parent: Holder, child: Holder) -> None:
        """The child is to have the image that its parent has in memory; so there it stays until `unpin`."""
        self._images.forked(parent, child)
        self._pinned[parent] += 1

    def unpin(self, holder: Holder) -> None:
        """It has been."""
        self._pinned[holder] -= 1
        if self._pinned[holder] <= 0:
            del self._pinned[holder]

    # Room.

    def _relieve(self, last: Holder) -> None:
        """Make room; who came last stays: it may be wanted at once."""
        images = self._images
        if not self.memory or images.used - images.leaving <= self.memory:
            return
        low = round(self.memory * LOW)
        claimed = {each for claim in self._claims.values() for each in claim.images}
        for holder in sorted(images, key=_patience):
            if images.used - images.leaving <= low:
                return
            spared = holder is last or holder in self._pinned or holder in claimed
            # Who is forgotten takes along who is based on it, so that not all are there any more.
            if holder in images and not spared:
                self._away(holder)

    def _away(self, holder: Holder) -> None:
        size = self._images.size(holder)
        cache = isinstance(holder, Keeper) and not holder.users
        offset = None if cache or not self.restore.files(holder, size) else self._offset(holder, size)
        if offset is None:
            self.forget(holder)
            return
        self._images.leave(holder)
        self._placed[holder] = Request(offset, size, holder.q, write=True)
        self._add(holder, self._placed[holder])

    def _offset(self, holder: Holder, size: int) -> int | None:
        """Room in the file; if there is none, that of those who are to lose their images sooner."""
        offset = self.extents.take(size)
        if offset is not None:
            return offset
        least = _bias(holder)
        claimed = {each for claim in self._claims.values() for each in claim.images}
        # Written, and neither on their way back nor wanted by anybody.
        resting = [each for each, at in self._placed.items() if at.write and each not in self._images]
        others = [each for each in resting if _bias(each) > least and each not in claimed]
        for other in sorted(others, key=_bias, reverse=True):
            if other in self._placed:  # else it went with one before
                self.forget(other)
            offset = self.extents.take(size)
            if offset is not None:
                return offset
        return None

    def forget(self, holder: Holder) -> None:
        """Its image is no more: its log is computed again when it is wanted."""
        core = self._cores[holder.core]
        if isinstance(holder, Stream):
            core.rebuild(holder)
        elif isinstance(holder, Keeper):
            core.sharing.lose(holder)

    # The file.

    def _add(self, holder: Holder, request: Request) -> None:
        self._holders[request.q] = holder
        self._queue.add(request)
        self._go()

    def _go(self) -> None:
        """The next call, unless one is under way."""
        if not self._call and len(self._queue):
            call = self._call = self._queue.next()
            op = self._port.operation(self._holders[call[0].q], self._ended)
            self._port.post(Transfer(op, call[0].write, call[0].offset, [each.q for each in call]))

    def _ended(self, first: Holder, op: int, error: str, scores: list[float]) -> None:
        """All of the call is settled before anything follows from it: what is forgotten may be of the same call."""
        lost: list[tuple[Holder, int]] = []
        back: list[Holder] = []
        for request in self._call:
            holder = self._holders[request.q]
            placed = self._placed.get(holder)
            if placed in (None, request):  # else it waits again, with another
                del self._holders[request.q]
            if placed == request and request.write and not error:
                self._images.take(holder)
                continue
            self.extents.give(request.offset, request.size)
            if placed != request:
                continue  # it has gone meanwhile
            del self._placed[holder]
            if error:
                lost.append((holder, request.q))
            else:
                back.append(holder)
                self._images.put(holder, request.size)
        self._call = []
        for holder, q in lost:
            if holder.q == q:
                self.forget(holder)
        for holder in back:
            if holder in self._images:
                self._relieve(holder)
        self._go()
        self._wake()

    @property
    def moving(self) -> bool:
        """Whether the engine owes the end of a call."""
        return bool(self._call)

    def check(self) -> list[str]:
        """Faults in the books."""
        faults = self.extents.check() + self._images.check()
        asked = len(self._queue) + len(self._call)
        if len(self._holders) > asked:
            faults.append(f"{len(self._holders)} holders wait for the disk with {asked} requests")
        return faults


def _patience(holder: Holder) -> tuple[int, int]:
    """Who goes first: what is only cache, who is said to, who waits for a person or a message, all others."""
    bias = -_bias(holder)
    if isinstance(holder, Keeper):
        return (bias, 2) if holder.users else (-OOM_MAX - 1, 0)
    return (bias, 1 if isinstance(holder, Stream) and holder.client.away else 2)


def _bias(holder: Holder) -> int:
    """Its oom_score_adj: a keeper's is that of whom it should be kept for longest."""
    if isinstance(holder, Stream):
        return holder.oom
    return min(map(_bias, holder.users), default=0) if isinstance(holder, Keeper) else 0
