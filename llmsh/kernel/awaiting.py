"""Who of a core could run, but for what another computes just now for both: none of them makes a core busy.

Known of those that were looked at in a plan. It decides nothing.
"""

from llmsh.kernel.holder import Holder
from llmsh.kernel.stream import Stream


class Awaiting:
    """Streams by whom they wait for."""

    def __init__(self) -> None:
        self._whom: dict[Stream, Holder] = {}
        self._by: dict[Holder, int] = {}
        """How many wait for a holder."""

    def __len__(self) -> int:
        """How many wait for somebody who is still at it."""
        return sum(count for donor, count in self._by.items() if self._computes(donor))

    def put(self, stream: Stream, donor: Holder) -> None:
        """It waits for this one."""
        self.drop(stream)
        self._whom[stream] = donor
        self._by[donor] = self._by.get(donor, 0) + 1

    def drop(self, stream: Stream) -> None:
        """It waits for nobody."""
        donor = self._whom.pop(stream, None)
        if donor is not None:
            self._by[donor] -= 1
            if not self._by[donor]:
                del self._by[donor]

    def on(self, donor: Holder) -> bool:
        """Whether anybody waits for what a holder computes."""
        return donor in self._by and self._computes(donor)

    def clear(self) -> None:
        """The engine is gone."""
        self._whom.clear()
        self._by.clear()

    @staticmethod
    def _computes(donor: Holder) -> bool:
        return donor.leased and donor.computed < len(donor) - 1
