"""The books of one core's cache: who holds how many cells. A full cache is answered with "not yet".

It posts no message; it says who could make room. The invariant: the sum of what is held and of what
is being given up never exceeds the capacity, so a decode never finds the cache full.
"""

from collections import OrderedDict

from llmsh.kernel.stream import Stream


class Cells:
    """Cells and sequences of one core, held by streams; least recently used first."""

    def __init__(self, capacity: int, sequences: int) -> None:
        self.capacity = capacity
        self.sequences = sequences
        self.used = 0
        self._residents: OrderedDict[Stream, None] = OrderedDict()
        self._leaving: dict[int, int] = {}

    @property
    def free(self) -> int:
        """Cells that nobody holds."""
        return self.capacity - self.used

    @property
    def residents(self) -> list[Stream]:
        """Streams that hold cells, least recently used first."""
        return list(self._residents)

    @property
    def leaving(self) -> int:
        """Cells on their way out."""
        return sum(self._leaving.values())

    def missing(self, stream: Stream, upto: int) -> int:
        """Cells short for the stream to hold `upto`; a missing sequence counts as one cell."""
        short = max(0, upto - stream.held - self.free)
        if not short and stream not in self._residents and self._taken() >= self.sequences:
            return 1
        return short

    def hold(self, stream: Stream, count: int) -> None:
        """The stream holds `count` cells from now on (more or fewer than before)."""
        self.used += count - stream.held
        stream.held = count
        if count:
            self._residents[stream] = None
            self._residents.move_to_end(stream)
        else:
            self._residents.pop(stream, None)

    def leave(self, stream: Stream, op: int) -> None:
        """The stream's cells are being given up by operation `op`; they are used until `left`."""
        self._leaving[op] = stream.held
        stream.held = 0
        self._residents.pop(stream, None)

    def left(self, op: int) -> None:
        """That operation has ended: its cells are free."""
        self.used -= self._leaving.pop(op, 0)

    def void(self) -> None:
        """The engine is gone and with it all cells."""
        for stream in self._residents:
            stream.held = 0
        self._residents.clear()
        self._leaving.clear()
        self.used = 0

    def check(self) -> list[str]:
        """Faults in the books."""
        held = sum(stream.held for stream in self._residents)
        faults = []
        if held + self.leaving != self.used:
            faults.append(f"{held} cells held and {self.leaving} leaving, {self.used} in the books")
        if self.used > self.capacity:
            faults.append(f"{self.used} cells of {self.capacity}")
        return faults

    def _taken(self) -> int:
        return len(self._residents) + len(self._leaving)
