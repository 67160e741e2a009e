"""A child whose parent's image was not at hand when it was forked, in the swap file or just being copied: it has it
when it first runs. It decides nothing about cells.
"""

from typing import TYPE_CHECKING

from llmsh.kernel.prefixes import common

if TYPE_CHECKING:
    from llmsh.kernel.sharing import Sharing
    from llmsh.kernel.stream import Stream


def later(sharing: "Sharing", parent: "Stream", child: "Stream") -> bool:
    """Whether the child will have what its parent has, and cannot have it yet."""
    swap = sharing.core.port.swap
    if parent.exact or not sharing.core.port.shares or not parent.q or parent.core != sharing.core.index:
        return False
    if common(parent.log, child.log) < parent.sent:
        return False  # it has gone another way since
    return bool(parent.op) or (bool(parent.image) and not swap.in_memory(parent) and swap.reads(parent))


def waits(sharing: "Sharing", child: "Stream") -> bool:
    """The child is to run: whether it waits for its parent's image; if not, it has that from now on, or computes."""
    parent = child.parent
    assert parent is not None
    if later(sharing, parent, child):
        if not parent.op:  # else the engine may not even know of it yet
            sharing.core.port.swap.fetch(parent)
        return True
    child.parent = None
    if parent.core == sharing.core.index:
        sharing.fork(parent, child)
    return False
