"""Who holds which cells of a core: counted, so that shared cells count once.

A sequence's cells are a list of spans; a fork makes both hold the same spans. It knows numbers only;
the cells themselves are llama.cpp's.
"""


class Span:
    """`size` cells in a row that belong to the same holders."""

    __slots__ = ("holders", "size")

    def __init__(self, size: int, holders: int = 1) -> None:
        self.size = size
        self.holders = holders


class Book:
    """The cells of one core. A holding is a list of spans, from position 0 on."""

    def __init__(self) -> None:
        self.used = 0

    def extend(self, holding: list[Span], count: int) -> None:
        """More cells at the end of a holding."""
        if holding and holding[-1].holders == 1:
            holding[-1].size += count
        elif count:
            holding.append(Span(count))
        self.used += count

    def share(self, holding: list[Span], end: int, others: "list[list[Span]]") -> list[Span]:
        """A second holding of the cells before `end`. `others`: every holding of this core, this one
        among them: a span that is cut is cut for all."""
        self._split(holding, end, others)
        out: list[Span] = []
        at = 0
        for span in holding:
            if at >= end:
                break
            span.holders += 1
            out.append(span)
            at += span.size
        return out

    def cut(self, holding: list[Span], keep: int, others: "list[list[Span]]") -> None:
        """Let go of the cells from position `keep` on."""
        self._split(holding, keep, others)
        at = 0
        for i, span in enumerate(holding):
            if at >= keep:
                gone = holding[i:]
                del holding[i:]
                for each in gone:
                    each.holders -= 1
                    if not each.holders:
                        self.used -= each.size
                return
            at += span.size

    def _split(self, holding: list[Span], at: int, others: "list[list[Span]]") -> None:
        start = 0
        for span in holding:
            if start < at < start + span.size:
                rest = Span(start + span.size - at, span.holders)
                span.size = at - start
                for each in others:
                    for i, other in enumerate(each):
                        if other is span:
                            each.insert(i + 1, rest)
                            break
                return
            start += span.size


def size(holding: list[Span]) -> int:
    """Cells of a holding."""
    return sum(span.size for span in holding)


def check(used: int, holdings: list[list[Span]]) -> list[str]:
    """Faults of the book against the holdings it was made for."""
    spans: dict[int, tuple[Span, int]] = {}
    for holding in holdings:
        for span in holding:
            _, count = spans.get(id(span), (span, 0))
            spans[id(span)] = (span, count + 1)
    faults = [f"span of {s.size}: {n} hold it, {s.holders} in the book" for s, n in spans.values() if n != s.holders]
    total = sum(span.size for span, _ in spans.values())
    if total != used:
        faults.append(f"{total} cells held, {used} in the book")
    return faults
