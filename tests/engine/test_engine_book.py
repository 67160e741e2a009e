"""The book of cells against sets of numbered cells."""

from hypothesis import given
from hypothesis import strategies as st

from llmsh.engine.book import Book, Span, check, size

MOVES = st.lists(st.tuples(st.sampled_from("gfcd"), st.integers(0, 9), st.integers(0, 12)), max_size=60)


@given(MOVES)
def test_the_book_counts_what_sets_of_cells_count(moves: list[tuple[str, int, int]]) -> None:
    """grow, fork, cut, drop in any order: shared cells count once, and for as long as one holds them."""
    book = Book()
    spans: list[list[Span]] = [[]]
    cells: list[list[int]] = [[]]
    named = 0
    for kind, who, count in moves:
        i = who % len(spans)
        if kind == "g":
            book.extend(spans[i], count)
            cells[i] += range(named, named + count)
            named += count
        elif kind == "f":
            end = min(count, len(cells[i]))
            spans.append(book.share(spans[i], end, spans))
            cells.append(cells[i][:end])
        else:
            keep = min(count, len(cells[i])) if kind == "c" else 0
            book.cut(spans[i], keep, spans)
            del cells[i][keep:]
        assert [size(each) for each in spans] == [len(each) for each in cells]
        assert book.used == len({cell for each in cells for cell in each})
        assert check(book.used, spans) == []


def test_a_wrong_book_is_found() -> None:
    span = Span(5, holders=2)
    assert check(6, [[span]]) == ["span of 5: 1 hold it, 2 in the book", "5 cells held, 6 in the book"]
