"""Which parts of the swap file are free. First fit; neighbours that are free become one. It knows bytes only."""

from bisect import bisect_left


class Extents:
    """A file of `capacity` bytes, of which nothing is in use."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._free: list[tuple[int, int]] = [(0, capacity)] if capacity else []
        """(offset, size), ordered, none beside another."""

    def take(self, size: int) -> int | None:
        """The offset of so many bytes in a row, or None when there are none."""
        for at, (offset, room) in enumerate(self._free):
            if room >= size:
                self._free[at : at + 1] = [(offset + size, room - size)] if room > size else []
                self.used += size
                return offset
        return None

    def hold(self, offset: int, size: int) -> None:
        """So many bytes there, which are free, are in use."""
        at = bisect_left(self._free, (offset + 1, 0)) - 1
        start, room = self._free[at]
        parts = [(start, offset - start), (offset + size, start + room - offset - size)]
        self._free[at : at + 1] = [each for each in parts if each[1]]
        self.used += size

    def give(self, offset: int, size: int) -> None:
        """They are free again."""
        self.used -= size
        at = bisect_left(self._free, (offset, 0))
        if at < len(self._free) and self._free[at][0] == offset + size:
            size += self._free.pop(at)[1]
        if at and sum(self._free[at - 1]) == offset:
            at -= 1
            before, room = self._free.pop(at)
            offset, size = before, room + size
        self._free.insert(at, (offset, size))

    def check(self) -> list[str]:
        """Faults in the books."""
        free = sum(size for _, size in self._free)
        faults = [] if free + self.used == self.capacity else [f"{free} bytes free and {self.used} used"]
        pairs = zip(self._free, self._free[1:], strict=False)
        return faults + [f"free at {b[0]} within {a}" for a, b in pairs if sum(a) >= b[0]]
