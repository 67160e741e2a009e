"""A run of tokens that several processes begin with, or that one began with that is no more: a sequence of the
engine that is never leased and holds their cells for all. The text segment, and the cache of such.

Its log never changes. Source: Unix's shared text; PagedAttention (Kwon et al., SOSP 2023), section 4.3.
"""

from array import array

from llmsh.kernel.holder import Holder


class Branch:
    """Who goes on after the first `start` tokens, by the block of tokens that comes next."""

    __slots__ = ("below", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.below: dict[bytes, dict[Holder, None]] = {}
        """Sets, in the order in which they came: several may go on alike, each with cells of its own."""


class Keeper(Holder):
    """Tokens that are kept. `users`: who is based on it, in cells or by an image."""

    __slots__ = ("branch", "passing", "users")

    def __init__(self, log: "array[int]", key: str, core: int) -> None:
        super().__init__(0, key)
        self.log = log
        self.core = core
        self.users: set[Holder] = set()
        self.branch = Branch(len(log))
        self.passing = False
        """Made for a child of a process that goes on: not worth keeping once the two are one again."""

    def rest(self) -> None:
        """See Holder. Who went on from here may not be there any more."""
        super().rest()
        self.branch = Branch(len(self))
