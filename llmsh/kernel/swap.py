"""Images of one device: how many bytes they take in memory, which of them go to the swap file, and back.

Above the high watermark the least recently saved go until there are few enough; whose process waits for a person
first, and what is only kept for who may come is forgotten. Without a file, when it is full, and where computing
costs less by the measured rates (restore.py), an image is forgotten, too: the log is computed again. Bytes move
within the engine; here is only who, where and when.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from llmsh.abi.lease import Done, Transfer
from llmsh.kernel.holder import Holder
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
    """Images that a stream of a core waits for, and how little it deserves: they stay in memory until it has them."""

    core: int
    images: list[Holder]
    rank: tuple[float, ...]


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
        self.used = 0
        """Bytes in memory."""
        self._port = port
        self._cores = cores
        self._wake = wake
        """Images may be there that were waited for."""
        self._order = limits.order
        self._queue: Queue = QUEUES[limits.order]()
        self._images: OrderedDict[Holder, int] = OrderedDict()
        """In memory, with their bytes; the first saved first."""
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
        self.tax.copied(max(0, message.cells - holder.shared) or holder.image, message.ms)
        if message.size and holder.image and holder.q == message.q and holder not in self._placed:
            self._keep(holder, message.size)

    def _keep(self, holder: Holder, size: int) -> None:
        self.gone(holder)
        self._images[holder] = size
        self.used += size
        self._relieve(holder)

    def gone(self, holder: Holder) -> None:
        """It has no image any more."""
        size = self._images.pop(holder, 0)
        self.used -= size
        placed = self._placed.pop(holder, None)
        if placed is None or placed in self._call:
            return
        if placed.write == bool(size):  # to be written and still in memory, or to be read and not there yet
            self._queue.remove(placed)
        self.extents.give(placed.offset, placed.size)

    def void(self) -> None:
        """The engine is gone, and with it all images and its file."""
        self._images.clear()
        self._placed.clear()
        self._holders.clear()
        self._claims.clear()
        self._call = []
        self._pinned.clear()
        self.used = 0
        self.extents = Extents(self.extents.capacity)
        self._queue = QUEUES[self._order]()

    def ready(self, stream: Stream, core: int, images: list[Holder]) -> bool:
        """Whether all these images, that a stream lacks on a core, can be loaded now; if not, they are on their way
        from the file, or will be once they have been brought whom somebody needier on that core waits for."""
        missing = [each for each in images if not self._at_hand(each)]
        if not missing:
            return True
        if stream in self._claims or self._may_claim(stream, core, images):
            self._claims[stream] = Claim(core, images, self._cores[core].rank(stream))
            for each in missing:
                self._fetch(each)
        return False

    def _may_claim(self, stream: Stream, core: int, images: list[Holder]) -> bool:
        """Whether there is room for these; those of the core who deserve less than the stream give up theirs."""
        others = [other for other, claim in self._claims.items() if claim.core == core]
        rank = self._cores[core].rank(stream)
        for other in sorted(others, key=lambda each: self._claims[each].rank, reverse=True):
            if self._fits(images) or self._claims[other].rank <= rank:
                return self._fits(images)
            del self._claims[other]
        return True

    def _fits(self, images: list[Holder]) -> bool:
        claimed = {each for claim in self._claims.values() for each in claim.images}
        return not self.memory or sum(map(self._size, claimed.union(images))) <= self.memory * LOW

    def _size(self, holder: Holder) -> int:
        placed = self._placed.get(holder)
        return self._images.get(holder, 0) if placed is None else placed.size

    def _at_hand(self, holder: Holder) -> bool:
        placed = self._placed.get(holder)
        # What waits to be written is still there: the writing is called off when it is loaded.
        return placed is None or (placed.write and placed not in self._call and holder in self._images)

    def _fetch(self, holder: Holder) -> None:
        placed = self._placed[holder]
        if placed.write and holder not in self._images:
            self._placed[holder] = placed._replace(write=False)
            self._add(holder, self._placed[holder])

    def withdraw(self, stream: Stream) -> None:
        """It waits for no images any more: it has them, or wants nothing."""
        self._claims.pop(stream, None)

    def _claimed(self, holder: Holder) -> bool:
        return any(holder in claim.images for claim in self._claims.values())

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

    def pin(self, holder: Holder) -> None:
        """Its image is being forked."""
        self._pinned[holder] += 1

    def unpin(self, holder: Holder) -> None:
        """It has been."""
        self._pinned[holder] -= 1
        if self._pinned[holder] <= 0:
            del self._pinned[holder]

    # Room.

    def _relieve(self, last: Holder) -> None:
        """Make room; who came last stays: it may be wanted at once."""
        if not self.memory or self.used <= self.memory:
            return
        low = round(self.memory * LOW)
        for holder in sorted(self._images, key=_patience):
            if self.used - self._outbound() <= low:
                return
            # Who is forgotten takes along who is based on it, so that not all are there any more.
            if holder in self._images and not (
                holder in self._placed or holder in self._pinned or holder is last or self._claimed(holder)
            ):
                self._away(holder)

    def _outbound(self) -> int:
        """Bytes that are being written, or wait to be."""
        return sum(placed.size for holder, placed in self._placed.items() if placed.write and holder in self._images)

    def _away(self, holder: Holder) -> None:
        size = self._images[holder]
        cache = isinstance(holder, Keeper) and not holder.users
        offset = None if cache or not self.restore.files(holder, size) else self.extents.take(size)
        if offset is None:
            self._forget(holder)
            return
        self._placed[holder] = Request(offset, size, holder.q, write=True)
        self._add(holder, self._placed[holder])

    def _forget(self, holder: Holder) -> None:
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
        lost: list[Request] = []
        back: list[Request] = []
        for request in self._call:
            holder = self._holders[request.q]
            if self._placed.get(holder) == request and request.write and not error:
                self.used -= self._images.pop(holder)
                continue
            self.extents.give(request.offset, request.size)
            if self._placed.get(holder) != request:
                continue  # it has gone meanwhile
            del self._placed[holder]
            if error:
                lost.append(request)
            else:
                back.append(request)
                self._images[holder] = request.size
                self.used += request.size
        self._call = []
        for request in lost:
            if self._holders[request.q].q == request.q:
                self._forget(self._holders[request.q])
        for request in back:
            if self._holders[request.q] in self._images:
                self._relieve(self._holders[request.q])
        self._go()
        self._wake()

    @property
    def moving(self) -> bool:
        """Whether the engine owes the end of a call."""
        return bool(self._call)

    def check(self) -> list[str]:
        """Faults in the books."""
        faults = self.extents.check()
        if self.used != sum(self._images.values()):
            faults.append(f"{self.used} bytes of images in the books, {sum(self._images.values())} held")
        faults += [f"holder {each.ident}: an image in memory, and none" for each in self._images if not each.image]
        return faults


def _patience(holder: Holder) -> int:
    """Who goes first: what is only cache, who waits for a person, all others."""
    if isinstance(holder, Keeper):
        return 0 if not holder.users else 2
    return 1 if isinstance(holder, Stream) and holder.client.away else 2
