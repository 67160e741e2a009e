"""Which core's pause between two steps a message to an engine waits for: that of its sequence's core.

A real engine and the fake one deal out what comes by it. It knows of a sequence only where it is.
"""

from llmsh.abi import lease


class Routes:
    """Places 0 … count - 1: the cores, each with a thread of its own. EXACT has none; it shares the first's."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._places: dict[int, int] = {}

    def place(self, core: int) -> int:
        """The thread that a core belongs to; the first for one that is not."""
        return core if 0 <= core < self._count else 0

    def of(self, message: lease.ToEngine) -> int:
        """The place of a message that has just come. OPEN and FORK make a sequence known."""
        if isinstance(message, lease.Open):
            place = self._places[message.q] = self.place(message.core)
            return place
        if isinstance(message, lease.Measure | lease.Pack):
            return self.place(message.core)
        if isinstance(message, lease.Threads | lease.Transfer):
            return 0
        place = self._places.get(message.q, 0)
        if isinstance(message, lease.Fork):
            self._places[message.q2] = place
        return place

    def now(self, q: int, place: int) -> int:
        """Where a sequence is by now; `place` for one that is not known."""
        return self._places.get(q, place)

    def obeyed(self, message: lease.ToEngine, core: int) -> None:
        """A message has been obeyed, and its sequence is on `core`: a MOVE or DROP changes routes."""
        if isinstance(message, lease.Move):
            self._places[message.q] = self.place(core)
        elif isinstance(message, lease.Drop):
            self._places.pop(message.q, None)
