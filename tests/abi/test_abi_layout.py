"""Where cells lie: the lowest free ones first, shared ones once, and holes closed without parting who shares."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.layout import Layout, Run, order, placed

TOTAL = 200
MOVES = st.lists(st.tuples(st.sampled_from("gfcdpi"), st.integers(0, 9), st.integers(0, 30)), max_size=60)


@given(MOVES)
def test_holders_keep_what_they_hold_and_cells_are_the_lowest_free(moves: list[tuple[str, int, int]]) -> None:
    """Grow, fork, cut, drop, pack, and by an image and back, in any order. `marks`: what each position stands for."""
    layout = Layout(TOTAL)
    cells: dict[int, array[int]] = {0: array("i")}
    marks: dict[int, list[int]] = {0: []}
    named = 0

    def taken() -> set[int]:
        return {cell for each in cells.values() for cell in each}

    for kind, who, count in moves:
        at = sorted(cells)[who % len(cells)]
        before = taken()
        if kind == "g" and count <= layout.free:
            new = layout.take(count)
            assert list(new) == sorted(set(range(TOTAL)) - before)[:count]
            cells[at] += new
            marks[at] += range(named, named + count)
            named += count
        elif kind == "f":
            child = max(cells) + 1
            cells[child] = layout.share(cells[at][:count])
            marks[child] = marks[at][:count]
        elif kind in "cd":
            keep = count if kind == "c" else 0
            layout.give(cells[at][keep:])
            del cells[at][keep:]
            del marks[at][keep:]
        elif kind == "p":
            high, runs = layout.highest, layout.above(cells, count + 1)
            moved = sum(run.end - run.start for run in runs)
            for run in runs:
                layout.move(run, cells)
            assert (moved > 0) == (layout.highest < high)
            assert moved <= count + 1
            if moved <= count:  # it could have moved more
                assert layout.highest == layout.used
        elif kind == "i" and len(cells[at]) <= layout.free:  # what it shared is its own after
            places = order(cells[at])
            saved = sorted(cells[at])
            assert [cells[at][place] for place in places] == saved
            layout.give(cells[at])
            back = layout.put(places)
            assert [back[place] for place in places] == sorted(back)
            cells[at][:] = back
            marks[at] = list(range(named, named + len(back)))
            named += len(back)
        assert layout.check(cells.values()) == []
        # Two positions have one cell where they have one mark, and only there.
        pairs = {(cell, mark) for each in cells for cell, mark in zip(cells[each], marks[each], strict=True)}
        assert len(pairs) == len({cell for cell, _ in pairs}) == len({mark for _, mark in pairs})


def test_what_is_shared_is_moved_once_and_in_one_piece() -> None:
    layout = Layout(100)
    cells = {1: layout.take(40), 2: layout.take(6)}
    cells[3] = layout.share(cells[2][:4])
    cells[2] += layout.take(1)
    layout.give(cells.pop(1))
    assert (layout.used, layout.highest) == (7, 47)
    assert layout.above(cells, 99) == [Run((2,), 4, 7), Run((2, 3), 0, 4)]
    assert layout.above(cells, 4) == [Run((2,), 4, 7), Run((2, 3), 3, 4)]
    for run in layout.above(cells, 99):
        layout.move(run, cells)
    assert (list(cells[2]), list(cells[3])) == ([3, 4, 5, 6, 0, 1, 2], [3, 4, 5, 6])
    assert (layout.used, layout.highest) == (7, 7)


def test_check_finds_what_is_wrong() -> None:
    layout = Layout(10)
    cells = layout.take(4)
    layout.give(cells[1:2])
    layout.used, layout.highest, layout._first = 2, 7, 3
    assert layout.check([cells]) == [
        "1 cells with other holders than in the books",
        "4 cells held, 2 in the books",
        "highest is [3], 7 in the books",
    ]
    assert layout.check([array("i", [0, 2, 3])])[-1] == "a cell below 3 is free"


def test_one_behind_the_other_or_abreast() -> None:
    assert list(placed([3, 1, 2], abreast=False)) == [(0, 3), (1, 1), (2, 2)]
    assert list(placed([3, 1, 2], abreast=True)) == [(0, 1), (1, 1), (2, 1), (0, 1), (2, 1), (0, 1)]
    assert list(placed([1, 1], abreast=True)) == [(0, 1), (1, 1)]
    assert list(placed([], abreast=True)) == []
