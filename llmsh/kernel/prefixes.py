"""Finds who has computed what a new process begins with: a radix tree over the logs of one core's holders.

Nodes are keepers, leaves are streams; an edge is known by its first BLOCK tokens and compared in whole. It
shares nothing itself. Source: RadixAttention (Zheng et al., SGLang, NeurIPS 2024), section 3.
"""

from array import array
from itertools import islice

from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Branch, Keeper

BLOCK = 16
"""Fewer tokens than these are not worth a sequence."""
LOOKS = 8
"""Of those that go on alike so many are looked at, who came last first: keepers come after those they are made of."""


class Prefixes:
    """Holders of one core by what their logs begin with, a tree for each key."""

    def __init__(self) -> None:
        self._roots: dict[str, Branch] = {}

    def find(self, key: str, log: "array[int]", but: Holder | None = None) -> tuple[Holder | None, int]:
        """Who promises most of the leading tokens of `log`, and how many are in common; of equals the keeper. `but` is
        not asked."""
        branch = self._roots.get(key)
        best: tuple[Holder | None, int] = (None, 0)
        while branch is not None:
            found = _best(branch.below.get(_block(log, branch.start), {}), log, branch.start, but)
            if found is None:
                break
            holder, same = best = found
            branch = holder.branch if isinstance(holder, Keeper) and same == len(holder) else None
        return best

    def insert(self, holder: Holder) -> None:
        """Let it be found, unless there is too little of it."""
        branch = holder.base.branch if holder.base is not None else self._roots.setdefault(holder.key, Branch(0))
        block = _block(holder.log, branch.start)
        if len(block) == BLOCK * holder.log.itemsize:
            branch.below.setdefault(block, {})[holder] = None
            holder.indexed = (branch, block)

    def missed(self, holder: Holder) -> int:
        """How many tokens nobody could have any more if it went; 0 for one that cannot be found."""
        if holder.indexed is None:
            return 0
        other, same = self.find(holder.key, holder.log, but=holder)
        return holder.computed - (promised(other, same) if other is not None else 0)

    def remove(self, holder: Holder) -> None:
        """Let it not be found any more."""
        if holder.indexed is None:
            return
        branch, block = holder.indexed
        holder.indexed = None
        del branch.below[block][holder]
        if not branch.below[block]:
            del branch.below[block]
        if not branch.below and self._roots.get(holder.key) is branch:
            del self._roots[holder.key]

    def clear(self) -> None:
        """Nobody is left."""
        self._roots.clear()


def _best(holders: dict[Holder, None], log: "array[int]", start: int, but: Holder | None) -> tuple[Holder, int] | None:
    found = [(each, common(each.log, log, start)) for each in islice(reversed(holders), LOOKS) if each is not but]
    return max(found, key=lambda each: (promised(*each), isinstance(each[0], Keeper)), default=None)


def promised(holder: Holder, same: int) -> int:
    """How many of the tokens that are in common others can have of a holder, now or at the end of its lease. Of a
    process in an image that is only what it shares itself: its image is nobody else's."""
    if holder.leased:
        return same
    return min(same, holder.shared if holder.image and not isinstance(holder, Keeper) else holder.computed)


def _block(log: "array[int]", start: int) -> bytes:
    return log[start : start + BLOCK].tobytes()


def common(one: "array[int]", other: "array[int]", start: int = 0) -> int:
    """How many leading tokens two logs have in common; the first `start` are known to be."""
    low, high = start, min(len(one), len(other))
    if one[low:high] == other[low:high]:
        return high
    while high - low > 1:  # equal before low, different somewhere before high
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
