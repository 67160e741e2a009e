"""What the holders of one core share: whose cells a stream begins with, and what stays when nobody runs any more.

It makes keepers where logs part, and answers what it would take to bring a stream into the cells. Who has to
leave for that is residence's.
"""

from typing import NamedTuple, Protocol

from llmsh.abi.lease import Drop, Fork, Load
from llmsh.kernel import inheritance
from llmsh.kernel.awaiting import Awaiting
from llmsh.kernel.cells import Cells
from llmsh.kernel.holder import Holder, line
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.port import Port
from llmsh.kernel.prefixes import BLOCK, Prefixes, common, promised
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.stream import Stream

LEFT_MIN = 256
"""A process that had others to share with leaves what it alone had only if it is so many tokens."""
CACHED_MAX = 8
"""Keepers of one core that nobody is based on, in cells or images; the least recently used goes."""


class Owner(Protocol):
    """The core."""

    index: int
    port: Port
    cells: Cells
    queue: RunQueue

    def rebuild(self, stream: Stream) -> None:
        """Forget the engine's copy of a stream; its log is fed again."""


class Need(NamedTuple):
    """What it takes to let a stream reach a length. `wait`: somebody computes just now what it begins with."""

    cells: int
    sequences: int
    donor: Holder | None = None
    share: int = 0
    """How many of the donor's leading cells."""
    wait: bool = False

    @property
    def spared(self) -> set[Holder]:
        """Who must not leave for it."""
        return set(line(self.donor))


class Sharing:
    """Prefixes of one core."""

    def __init__(self, core: Owner) -> None:
        self.core = core
        self.keepers: set[Keeper] = set()
        self.waiting = Awaiting()
        self._tree = Prefixes()

    # What it would take.

    def ahead(self, stream: Stream) -> int:
        """How many tokens of its log will have to be computed: what others have, or just compute, it shares."""
        left = stream.left
        if left < BLOCK or stream.q or stream.exact or not self.core.port.shares:
            return left
        donor, same = self._tree.find(stream.key, stream.log)
        has = min(promised(donor, same), len(stream) - 1) if donor is not None else 0
        return len(stream) - 1 - has if has >= BLOCK else left

    def need(self, stream: Stream, upto: int) -> Need:
        """For the stream to reach `upto` cells."""
        self.waiting.drop(stream)
        self.core.queue.release(stream)
        if stream.parent is not None and not stream.q and inheritance.waits(self, stream):
            return Need(0, 0, wait=True)
        further = self._further(stream, upto)
        if further is not None:
            if further.wait and further.donor is not None:
                self.waiting.put(stream, further.donor, further.share)
                return further
            self.core.rebuild(stream)
        if stream in self.core.cells:
            return Need(max(0, upto - stream.shared - stream.held), 0, stream.base)
        if stream.q and len(line(stream.base)) >= self.core.cells.sequences:
            self.core.rebuild(stream)  # what it is based on was divided too often to be there all at once
        if stream.image and not self.core.port.swap.reads(stream):
            self.core.rebuild(stream)
        donor: Holder | None = stream.base
        count = stream.shared
        if not stream.q:
            donor, count, wait = self._source(stream, upto)
            if wait and donor is not None:
                self.waiting.put(stream, donor, count)
                return Need(0, 0, donor, count, wait=True)
        away = [each for each in line(donor) if each not in self.core.cells]
        images: list[Holder] = [*away, stream] if stream.image else away
        coming = any(each.op for each in away)
        if coming or (images and not self.core.port.swap.ready(stream, self.core.index, images)):
            return Need(0, 0, donor, count, wait=True)
        divides = donor is not None and not (isinstance(donor, Keeper) and len(donor) == count)
        return Need(upto - count + sum(each.image for each in away), 1 + len(away) + divides, donor, count)

    def _further(self, stream: Stream, upto: int) -> Need | None:
        """Who has begun by itself may find that another has come further with what both begin with: it is worth
        letting go of what it has, or, if the other computes that just now and is not behind, waiting for it."""
        if not stream.q or stream.leased or stream.left < BLOCK:
            return None
        donor, count, wait = self._source(stream, upto)
        if donor is None or count < stream.computed + BLOCK:
            return None
        cells = self.core.cells
        here = cells.seats > 0 and all(each in cells for each in line(donor))  # else both could be lost
        found = donor.computed >= stream.computed if wait else here
        return Need(0, 0, donor, count, wait) if found else None

    def _source(self, stream: Stream, upto: int) -> tuple[Holder | None, int, bool]:
        """Whose cells a stream can begin with, how many, and whether to wait. Cells of its own do not count: it lets
        go of them for this."""
        nobody = (None, 0, False)
        if stream.exact or not self.core.port.shares:
            return nobody
        donor, same = self._tree.find(stream.key, stream.log, but=stream)
        same = min(same, len(stream) - 1)
        if donor is None or same < BLOCK:
            return nobody
        if donor.leased and donor.computed < min(same, len(donor) - 1):
            return donor, same, True
        if isinstance(donor, Keeper) and donor.op and 2 * same > len(donor):
            return donor, same, True  # on its way here, or out
        same = min(same, donor.computed)
        while donor is not None and (
            same <= donor.shared or len(line(donor)) + 2 > self.core.cells.sequences or not self._at_hand(donor, same)
        ):
            same = min(same, donor.shared)
            donor = donor.base
        if donor is None or same < BLOCK:
            return nobody
        both = upto - same + donor.computed
        if both > self.core.cells.capacity or not all(quota.beside(donor, both) for quota in stream.quotas):
            return nobody
        return donor, same, False

    def _at_hand(self, donor: Holder, count: int) -> bool:
        """Whether so many tokens of it are in cells, or are most of an image that can be loaded."""
        image = isinstance(donor, Keeper) and not donor.op and 2 * count > len(donor)
        return donor in self.core.cells or image

    # Coming and going.

    def enter(self, stream: Stream, need: Need) -> None:
        """Bring a stream that has no sequence, or an image, into the engine behind what it shares."""
        port = self.core.port
        self._return(need.donor)
        if stream.q:
            return
        port.enter(stream)
        stream.core = self.core.index
        if need.donor is not None:
            base = self._divide(need.donor, need.share)
            port.post(Fork(base.q, stream.q, need.share, port.operation(stream, _forked)))
            stream.base, stream.shared = base, need.share
            stream.computed = stream.sent = need.share
            base.users.add(stream)

    def fork(self, parent: Stream, child: Stream) -> None:
        """A child is to go on from where its parent is: it has the parent's cells, or its image, if there is a
        sequence for it. Else it computes when it runs, from what others have then."""
        cells, port = self.core.cells, self.core.port
        same = common(parent.log, child.log)
        if parent.exact or not port.shares or not parent.q or parent.op:
            return
        if parent.image:
            if same < parent.sent or not port.swap.in_memory(parent):
                return  # it has gone another way since, or its image is not at hand
            port.enter(child)
            port.swap.forked(parent, child)
            forked = port.operation(child, lambda *_: port.swap.unpin(parent))
            port.post(Fork(parent.q, child.q, parent.sent, forked))
            child.base, child.shared, child.image = parent.base, parent.shared, parent.image
            child.computed, child.sent = parent.computed, parent.sent
            if child.base is not None:
                child.base.users.add(child)
            return
        count = min(parent.computed, same, len(child) - 1)
        if parent in cells and count >= BLOCK and cells.seats > 1:
            known = line(parent.base)
            self.enter(child, Need(0, 2, _whose(parent, count), count))
            cells.hold(child, count)
            if child.base is not None and child.base not in known:
                child.base.passing = True
            self.index(child)

    def kept(self, stream: Stream, most: int) -> Keeper | None:
        """Who keeps here most of the leading tokens of a stream of another core, of no more than so many."""
        donor, same = self._tree.find(stream.key, stream.log)
        while donor is not None and not (isinstance(donor, Keeper) and len(donor) <= min(same, most)):
            donor = donor.base
        return donor

    def receive(self, keeper: Keeper) -> Keeper:
        """A keeper of another core is to be here, too: it comes with an image of all of it."""
        copy = Keeper(keeper.log, keeper.key, self.core.index)
        self.core.port.enter(copy)
        copy.computed = copy.image = len(copy)
        self.keepers.add(copy)
        self._tree.insert(copy)
        return copy

    def adopt(self, stream: Stream) -> int:
        """A quiet stream of another core is to come here with an image: how many of its leading tokens it need
        not bring, since they are here."""
        base = self.kept(stream, stream.computed - 1) if not stream.image else None
        stream.base, stream.shared = base, len(base) if base is not None else 0
        if base is not None:
            base.users.add(stream)
        return stream.shared

    def index(self, holder: Holder) -> None:
        """Its log has changed, or another engine has it: let others find what it has now."""
        self._tree.remove(holder)
        if holder.q and not (isinstance(holder, Stream) and holder.exact):
            self._tree.insert(holder)

    def part(self, holder: Holder) -> None:
        """It goes: nobody finds it any more, and its base has one user less."""
        self._tree.remove(holder)
        if holder.base is not None:
            holder.base.users.discard(holder)
            self.collapse(holder.base)

    def collapse(self, keeper: Keeper | None) -> None:
        """A keeper that only one is based on gives it its cells, if it was there for others' sake: between two
        keepers, or for a child. The engine's sequence of who is based on it has them all anyway."""
        user = self._heir(keeper) if keeper is not None else None
        if keeper is None or user is None:
            return
        base = keeper.base
        self._tree.remove(user)
        self._tree.remove(keeper)
        if base is not None:
            base.users.discard(keeper)
            base.users.add(user)
        user.base, user.shared, keeper.base = base, keeper.shared, None
        keeper.users.clear()
        self.core.cells.take(user, keeper)
        self._tree.insert(user)
        self.drop(keeper)

    def _heir(self, keeper: Keeper) -> Holder | None:
        """Who alone is based on it and is to have its cells."""
        user = next(iter(keeper.users)) if len(keeper.users) == 1 else None
        cells = self.core.cells
        if user is None or keeper not in cells or user not in cells:
            return None
        return user if keeper.passing or isinstance(user, Keeper) else None

    def _return(self, holder: Holder | None) -> None:
        """Put keepers back into cells, the first tokens first."""
        cells, port = self.core.cells, self.core.port
        for keeper in reversed([each for each in line(holder) if each not in cells]):
            donor = keeper.base.q if keeper.base is not None else 0
            port.swap.gone(keeper)
            port.post(Load(keeper.q, port.operation(keeper, self._returned), donor))
            keeper.image = 0
            cells.hold(keeper, len(keeper))
            self.collapse(keeper.base)

    def _divide(self, holder: Holder, count: int) -> Keeper:
        """The keeper of the first `count` tokens of a resident that has more of its own than is before them."""
        if isinstance(holder, Keeper) and len(holder) == count:
            return holder
        port = self.core.port
        keeper = Keeper(holder.log[:count], holder.key, self.core.index)
        port.enter(keeper)
        port.post(Fork(holder.q, keeper.q, count, port.operation(keeper, _forked)))
        base = holder.base
        keeper.computed, keeper.base, keeper.shared = count, base, holder.shared
        self.core.cells.lend(holder, keeper, count - holder.shared)
        self._tree.remove(holder)
        if base is not None:
            base.users.discard(holder)
            base.users.add(keeper)
        keeper.users.add(holder)
        holder.base, holder.shared = keeper, count
        self.keepers.add(keeper)
        self._tree.insert(keeper)
        self._tree.insert(holder)
        self.collapse(base)
        return keeper

    # What stays.

    def leave(self, stream: Stream) -> None:
        """The process is over. What it began with is kept for the next, if that is worth a sequence."""
        own, cells = stream.own, self.core.cells
        worth = own >= (LEFT_MIN if stream.base is not None else 2 * BLOCK)
        able = stream in cells and cells.seats and not stream.exact and self.core.port.shares
        if worth and able and self._tree.missed(stream) >= 2 * BLOCK:
            self._divide(stream, stream.computed)
        idle = [each for each in self.keepers if not (each.users - {stream} or each.op)]
        for keeper in sorted(idle, key=lambda each: each.touched)[:-CACHED_MAX]:
            self.drop(keeper)

    def drop(self, keeper: Keeper) -> None:
        """Forget a keeper that nobody is based on."""
        port = self.core.port
        if keeper.q:
            op = port.operation(keeper, self._dropped)
            self.core.cells.leave(keeper, op)
            port.post(Drop(keeper.q, op))
        self._forget(keeper)

    def lose(self, keeper: Keeper) -> None:
        """It cannot be brought back: who is based on it is computed again."""
        for user in list(keeper.users):
            if isinstance(user, Keeper):
                self.lose(user)
            elif isinstance(user, Stream):
                self.core.rebuild(user)
        if keeper in self.keepers:
            self.drop(keeper)

    def _forget(self, keeper: Keeper) -> None:
        self.part(keeper)
        self.core.port.swap.gone(keeper)
        self.core.port.forget(keeper)
        self.keepers.discard(keeper)
        keeper.void()

    def _dropped(self, holder: Holder, op: int, error: str, scores: list[float]) -> None:
        self.core.cells.left(op)

    def _returned(self, holder: Holder, op: int, error: str, scores: list[float]) -> None:
        if error and isinstance(holder, Keeper) and holder in self.keepers:
            self.lose(holder)

    def void(self, kept: set[Holder]) -> None:
        """The engine is gone; of these there are images."""
        self.waiting.clear()
        for keeper in self.keepers:
            keeper.rest() if keeper in kept else keeper.void()
            keeper.users &= kept
        self.keepers &= kept
        self._tree.clear()

    # Figures and faults.

    @property
    def shared(self) -> int:
        """Cells that processes share."""
        streams = [each for each in self.core.cells.residents if isinstance(each, Stream)]
        return sum(keeper.held for keeper in {each for stream in streams for each in line(stream.base)})

    @property
    def cached(self) -> int:
        """Cells that are kept for who may come."""
        return sum(keeper.held for keeper in self.keepers) - self.shared

    def wanted(self, keeper: Keeper) -> bool:
        """Whether anybody in the cells is based on it."""
        return any(user in self.core.cells for user in keeper.users)

    def check(self) -> list[str]:
        """Faults in the books."""
        faults = []
        for keeper in self.keepers:
            own = len(keeper) - keeper.shared
            if (keeper.held, keeper.image) not in ((own, 0), (0, own)) and not keeper.op:
                faults.append(f"keeper of {len(keeper)}: {keeper.held} cells held, {keeper.image} in an image")
            if self._heir(keeper) is not None:
                faults.append(f"keeper of {len(keeper)}: is there for the sake of one")
            faults += [
                f"holder {user.ident}: shares {user.shared} cells of a keeper of {len(keeper)}"
                for user in keeper.users
                if user.base is not keeper or user.shared != len(keeper)
            ]
        return faults


def _whose(holder: Holder, count: int) -> Holder:
    """Who of its line has the last of a resident's first `count` tokens as its own."""
    while holder.base is not None and count <= holder.shared:
        holder = holder.base
    return holder


def _forked(holder: Holder, op: int, error: str, scores: list[float]) -> None:
    """Nothing waits for a fork: what follows on the channel comes after it."""
