"""How long steps take: measured once for a machine and a model, corrected by what running shows.

A table of milliseconds by point: how many cores work, with how many threads each, on how many sequences
of how many tokens. Pure: it knows no device, no clock (times are given) and no file. An interval that a
suspend may lie in says nothing, and is dropped by who calls.
"""

from math import exp, log
from typing import Any, NamedTuple

VERSION = 1
BATCHES = (1, 2, 4, 8, 16, 32)
"""Sequences of a step that generates."""
CHUNKS = (32, 64, 128, 256, 512)
"""Tokens of a step that computes input."""
WEIGHT = 0.1
"""Of a new sample in a correction."""
MEMORY_S = 60.0
"""A correction that nothing confirms loses two thirds of its effect in this time: the disturbance may be over."""
COMMON = 0.5
"""The part of what is new in a sample that is taken for the machine's: it then slows down everything alike. Were all
of it the point's, whatever runs would look worse than what is not tried, and the choice would wander for ever."""
CLIP = 4.0
"""A sample further off than this many times is taken for so many: one step that was held up says little."""
INPUT_COST = 0.25
"""What a prefilled token costs, in generated ones, before anything was measured."""
USUAL_CHUNK = 128


class Point(NamedTuple):
    """What a step is: of one of `cores` cores that work at once, with `threads` threads each."""

    cores: int
    threads: int
    batch: int
    tokens: int = 1


class Correction(NamedTuple):
    """By how much steps take longer than was measured, and when that was last seen."""

    factor: float = 1.0
    at: float = 0.0

    def now(self, now: float) -> float:
        """What of it is still believed."""
        return float(self.factor ** exp(-max(0.0, now - self.at) / MEMORY_S))


class Broken(ValueError):
    """What was kept is no table."""


class Rates:
    """The table of one model on one machine. `spent_ms`: how long measuring took so far; `made`: when
    it began, in seconds since the epoch."""

    def __init__(self, made: float = 0.0) -> None:
        self.ms: dict[Point, float] = {}
        self.drift = Correction()
        """Of all points alike: the machine is slower than it was."""
        self.corrections: dict[Point, Correction] = {}
        """Of each point besides."""
        self.spent_ms = 0.0
        self.rent: float | None = None
        """Milliseconds that a cell adds to a step of one token, whoever has it; None: not known."""
        self.renewed = False
        """Whether `spent_ms` was once set back to 0."""
        self.made = made
        self.doubtful: set[Point] = set()
        """Points that were measured while something disturbed the machine."""
        self.improved = False
        """Whether running has shown that something is faster than was measured."""
        self._sorted: dict[tuple[int, int, bool], list[tuple[int, Point]]] = {}
        """Points by cores, threads and whether they compute input, in order of size."""

    # What is known.

    def splits(self) -> list[tuple[int, int]]:
        """Cores at once and threads of each, of which anything is known."""
        return sorted({(point.cores, point.threads) for point in self.ms if point.tokens == 1})

    def measured(self, point: Point, ms: float) -> None:
        """A measurement has ended."""
        self.ms[point] = ms
        self.corrections.pop(point, None)
        self._sorted.clear()

    def factor(self, point: Point, now: float) -> float:
        """The correction of a point as of now: steps take so many times as long as was measured."""
        found = self.corrections.get(point)
        own = found.now(now) if found is not None else 1.0
        return min(CLIP, max(1.0, self.drift.now(now) * own))

    def corrected(self, point: Point, now: float) -> float:
        """Milliseconds of a measured point, as things are now."""
        return self.ms[point] * self.factor(point, now)

    def _sizes(self, cores: int, threads: int, tokens: bool) -> list[tuple[int, Point]]:
        key = (cores, threads, tokens)
        if key not in self._sorted:
            points = [each for each in self.ms if (each.cores, each.threads, each.tokens > 1) == key]
            self._sorted[key] = sorted((each.tokens if tokens else each.batch, each) for each in points)
        return self._sorted[key]

    def _between(self, sizes: list[tuple[int, Point]], size: int, now: float) -> float:
        """Milliseconds of a size from those of its neighbours; beyond the ends in proportion."""
        if not sizes:
            return 0.0
        known = [(at, self.corrected(point, now)) for at, point in sizes]
        if size >= known[-1][0]:
            return known[-1][1] * size / known[-1][0]
        low = (0, 0.0) if sizes[0][1].tokens > 1 else known[0]
        for high in known:
            if size <= high[0]:
                share = (size - low[0]) / (high[0] - low[0]) if high[0] > low[0] else 1.0
                return low[1] + share * (high[1] - low[1])
            low = high
        return known[-1][1]

    def generate_ms(self, cores: int, threads: int, batch: int, now: float) -> float:
        """A step of one token of each of `batch` sequences; 0 when nothing is known."""
        return self._between(self._sizes(cores, threads, tokens=False), batch, now)

    def input_ms(self, cores: int, threads: int, tokens: int, now: float) -> float:
        """A step of so many tokens of input; 0 when nothing is known."""
        return self._between(self._sizes(cores, threads, tokens=True), tokens, now)

    def input_cost(self, now: float) -> float:
        """What a token of input costs in generated ones, both alone on one core at its best."""
        threads = {point.threads for point in self.ms if point.cores == 1}
        made = [ms for each in threads if (ms := self.generate_ms(1, each, 1, now))]
        read = [ms for each in threads if (ms := self.input_ms(1, each, USUAL_CHUNK, now))]
        if not made or not read:
            return INPUT_COST
        return min(2.0, max(0.01, min(read) / USUAL_CHUNK / min(made)))

    # What running shows.

    def saw(self, cores: int, threads: int, batch: int, tokens: int, ms: float, now: float) -> None:
        """A step of `batch` generating sequences, or of `tokens` of input, took so long."""
        size = tokens or batch
        sizes = self._sizes(cores, threads, tokens=tokens > 0)
        if not sizes or ms <= 0:
            return
        _, point = min(sizes, key=lambda each: abs(log(each[0] / size)))
        expected = self._between(sizes, size, now)
        change = exp(WEIGHT * log(min(CLIP, max(1 / CLIP, ms / expected))))
        drift = min(CLIP, max(1.0, self.drift.now(now) * change**COMMON))
        total = self.factor(point, now) * change
        if total < 1 and size == point.batch * point.tokens:
            # Noise only ever adds: a machine that is faster than it was when it was measured was disturbed then.
            # What else was measured in such a moment is no better known. A size that was not measured may be
            # faster than between its neighbours, and says nothing of them.
            for each in self.doubtful if point in self.doubtful else (point,):
                self.ms[each] *= total
            self.improved = True
        self.drift = Correction(drift, now)
        self.corrections[point] = Correction(min(CLIP, max(1.0, total)) / drift, now)

    # Kept on disk.

    def record(self) -> dict[str, Any]:
        """The table without its corrections: those are of the moment."""
        points = [[*point, round(ms, 3)] for point, ms in sorted(self.ms.items())]
        return {"version": VERSION, "made": self.made, "spent_ms": round(self.spent_ms, 1), "points": points} | {
            "doubtful": [list(point) for point in sorted(self.doubtful)],
            "rent": None if self.rent is None else round(self.rent, 7),
            "renewed": self.renewed,
        }


def restored(record: Any) -> Rates:
    """What `record` made. Raises Broken."""
    try:
        if record["version"] != VERSION:
            raise Broken(f"version {record['version']}, not {VERSION}")
        rates = Rates(float(record["made"]))
        rates.spent_ms = float(record["spent_ms"])
        rates.renewed = bool(record.get("renewed", False))
        for *sizes, ms in record["points"]:
            point = Point(*sizes)
            if not all(type(each) is int and 0 < each <= 4096 for each in point) or not 0 < float(ms) < 1e9:
                raise Broken(f"no such point: {sizes} {ms}")
            rates.ms[point] = float(ms)
        rent = record.get("rent")
        if rent is not None and not 0 <= float(rent) < 1:
            raise Broken(f"no such rent: {rent}")
        rates.rent = None if rent is None else float(rent)
        rates.doubtful = {Point(*sizes) for sizes in record.get("doubtful", ())} & rates.ms.keys()
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Broken(str(exc) if isinstance(exc, Broken) else f"no table: {exc}") from None
    return rates
