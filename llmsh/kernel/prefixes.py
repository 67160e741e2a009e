"""Finds who has computed what a new process begins with: a radix tree over the logs of one core's holders.

Nodes are keepers, leaves are streams; an edge is known by its first BLOCK tokens and compared in whole. It
shares nothing itself. Source: RadixAttention (Zheng et al., SGLang, NeurIPS 2024), section 3.
"""

from array import array

from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Branch, Keeper

BLOCK = 16
"""Fewer tokens than these are not worth a sequence."""


class Prefixes:
    """Holders of one core by what their logs begin with, a tree for each key."""

    def __init__(self) -> None:
        self._roots: dict[str, Branch] = {}

    def find(self, key: str, log: "array[int]") -> tuple[Holder | None, int]:
        """Who has most leading tokens in common with `log`, and how many; of equals the keeper."""
        branch = self._roots.get(key)
        best: tuple[Holder | None, int] = (None, 0)
        while branch is not None:
            found = branch.below.get(_block(log, branch.start))
            if found is None:
                break
            same = common(found.log, log, branch.start)
            best = (found, same)
            branch = found.branch if isinstance(found, Keeper) and same == len(found) else None
        return best

    def insert(self, holder: Holder) -> None:
        """Let it be found. Of two that go on alike, the first is."""
        branch = holder.base.branch if holder.base is not None else self._roots.setdefault(holder.key, Branch(0))
        block = _block(holder.log, branch.start)
        if len(block) == BLOCK * holder.log.itemsize and block not in branch.below:
            branch.below[block] = holder
            holder.indexed = (branch, block)

    def remove(self, holder: Holder) -> None:
        """Let it not be found any more."""
        if holder.indexed is None:
            return
        branch, block = holder.indexed
        holder.indexed = None
        del branch.below[block]
        if not branch.below and self._roots.get(holder.key) is branch:
            del self._roots[holder.key]

    def clear(self) -> None:
        """Nobody is left."""
        self._roots.clear()


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
