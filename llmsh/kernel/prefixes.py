"""Finds who has computed what a new process begins with: a radix tree over the logs of one core's holders.

Nodes are keepers, leaves are streams; an edge is known by its first BLOCK tokens and compared in whole. It
shares nothing itself. Source: RadixAttention (Zheng et al., SGLang, NeurIPS 2024), section 3.
"""

from array import array
from collections.abc import Iterable
from itertools import islice

from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Branch, Keeper

BLOCK = 16
"""Fewer tokens than these are not worth a sequence."""
LOOKS = 8
"""Of those that go on alike, so many are looked at."""


class Prefixes:
    """Holders of one core by what their logs begin with, a tree for each key."""

    def __init__(self) -> None:
        self._roots: dict[str, Branch] = {}

    def find(self, key: str, log: "array[int]", but: Holder | None = None) -> tuple[Holder | None, int]:
        """Who has most leading tokens in common with `log` that are computed or about to be, and how many are in
        common; of equals the keeper. `but` is not asked."""
        branch = self._roots.get(key)
        best: tuple[Holder | None, int] = (None, 0)
        while branch is not None:
            found = _best(branch.below.get(_block(log, branch.start), ()), log, branch.start, but)
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

    def alone(self, holder: Holder) -> bool:
        """Whether it can be found, and nobody else goes on alike."""
        if holder.indexed is None:
            return False
        branch, block = holder.indexed
        return len(branch.below[block]) == 1

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


def _best(holders: Iterable[Holder], log: "array[int]", start: int, but: Holder | None) -> tuple[Holder, int] | None:
    found = [(each, common(each.log, log, start)) for each in islice(holders, LOOKS) if each is not but]
    return max(found, key=lambda each: (promised(*each), isinstance(each[0], Keeper)), default=None)


def promised(holder: Holder, same: int) -> int:
    """How many of the tokens that are in common a holder has computed, or will have at the end of its lease."""
    return same if holder.leased else min(same, holder.computed)


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
