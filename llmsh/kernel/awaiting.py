"""Who of a core could run, but for what another computes just now for both: none of them makes a core busy.

Known of those that were looked at in a plan. It decides nothing.
"""

from collections.abc import Collection

from llmsh.kernel.holder import Holder
from llmsh.kernel.stream import Stream


class Wait:
    """Those who wait for one holder."""

    def __init__(self, until: int) -> None:
        self.streams: dict[Stream, None] = {}
        self.until = until
        """The least that any of them waits for it to have computed, or less."""


class Awaiting:
    """Streams by whom they wait for."""

    def __init__(self) -> None:
        self._whom: dict[Stream, Holder] = {}
        self._by: dict[Holder, Wait] = {}

    def __len__(self) -> int:
        """How many wait for somebody who is still at it."""
        return sum(len(wait.streams) for donor, wait in self._by.items() if _computes(donor))

    def __contains__(self, stream: Stream) -> bool:
        """Whether it waits for somebody who is still at it."""
        return stream in self._whom and not self._over(self._whom[stream])

    @property
    def streams(self) -> Collection[Stream]:
        """All of them."""
        return self._whom.keys()

    def put(self, stream: Stream, donor: Holder, until: int) -> None:
        """It waits for this one to compute so many tokens."""
        self.drop(stream)
        self._whom[stream] = donor
        wait = self._by.setdefault(donor, Wait(until))
        wait.streams[stream] = None
        wait.until = min(wait.until, until)

    def drop(self, stream: Stream) -> None:
        """It waits for nobody."""
        donor = self._whom.pop(stream, None)
        if donor is not None:
            del self._by[donor].streams[stream]
            if not self._by[donor].streams:
                del self._by[donor]

    def on(self, donor: Holder) -> bool:
        """Whether anybody waits for what a holder computes."""
        return donor in self._by and _computes(donor)

    def over(self) -> list[Stream]:
        """Who need wait no longer, or has to look anew; they are forgotten."""
        done = [donor for donor in self._by if self._over(donor)]
        streams = [stream for donor in done for stream in self._by.pop(donor).streams]
        for stream in streams:
            del self._whom[stream]
        return streams

    def clear(self) -> None:
        """The engine is gone."""
        self._whom.clear()
        self._by.clear()

    def _over(self, donor: Holder) -> bool:
        return not _computes(donor) or donor.computed >= self._by[donor].until


def _computes(donor: Holder) -> bool:
    return donor.leased and donor.computed < len(donor) - 1
