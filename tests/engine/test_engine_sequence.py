"""A sequence's own rules, without a model: leases by number, and chunks that depend on the log alone."""

from hypothesis import given
from hypothesis import strategies as st

from llmsh.engine.sequence import EXACT_CUT, Sequence

RUNS = st.lists(st.tuples(st.booleans(), st.integers(1, 90)), min_size=1, max_size=6)


def exact() -> Sequence:
    return Sequence(1, 1, exact=True)


def ends(sequence: Sequence) -> list[int]:
    """Where the chunks of the whole log end."""
    sequence.computed, out = 0, []
    while sequence.computed < len(sequence.log):
        sequence.computed = sequence.chunk_end(len(sequence.log))
        out.append(sequence.computed)
    return out


@given(RUNS, st.data())
def test_chunks_depend_on_the_log_and_not_on_how_it_was_fed(runs: list[tuple[bool, int]], data: st.DataObject) -> None:
    """Once as the kernel feeds it after a death, once token by token as it came about."""
    again, first = exact(), exact()
    merged: list[tuple[bool, int]] = []
    for made, count in runs:
        if merged and merged[-1][0] == made:
            merged[-1] = (made, merged[-1][1] + count)
        else:
            merged.append((made, count))
    for made, count in merged:
        again.feed(len(again.log), [1] * count, made, 10)
    for made, count in runs:
        if made:
            first.log.extend([1] * count)
        else:
            cut = data.draw(st.integers(0, count))
            first.feed(len(first.log), [1] * cut, False, 10)
            first.feed(len(first.log), [1] * (count - cut), False, 10)
    assert ends(first) == ends(again)


@given(RUNS)
def test_generated_tokens_go_alone_and_chunks_keep_to_absolute_cuts(runs: list[tuple[bool, int]]) -> None:
    sequence, generated = exact(), set[int]()
    for made, count in runs:
        if made:
            generated.update(range(len(sequence.log), len(sequence.log) + count))
        sequence.feed(len(sequence.log), [1] * count, made, 10)
    start = 0
    for end in ends(sequence):
        assert end - start == 1 or not generated & set(range(start, end))
        assert end - start <= EXACT_CUT
        assert start // EXACT_CUT == (end - 1) // EXACT_CUT
        assert sequence.boundary(end) == end
        start = end


@given(RUNS, st.integers(0, 400))
def test_a_boundary_is_where_a_chunk_ends(runs: list[tuple[bool, int]], pos: int) -> None:
    sequence = exact()
    for made, count in runs:
        sequence.feed(len(sequence.log), [1] * count, made, 10)
    pos = min(pos, len(sequence.log))
    assert sequence.boundary(pos) in {0, *ends(sequence)}
    assert sequence.boundary(pos) <= pos


def test_a_256_cut_is_among_the_cuts() -> None:
    assert 256 % EXACT_CUT == 0


def test_forgetting_takes_the_answer_with_it() -> None:
    sequence = Sequence(1, 0, exact=False)
    sequence.feed(0, [1, 2, 3], False, 10)
    sequence.log.append(4)
    sequence.forget(2)
    assert (sequence.log.tolist(), sequence.fed) == ([1, 2], 2)


def test_halted_counts_from_one_and_says_where() -> None:
    sequence = Sequence(1, 0, exact=False)
    sequence.feed(0, [1, 2, 3], False, 10)
    sequence.upto = 9
    halted = sequence.end("limit")
    assert (halted.n, halted.pos, halted.why, sequence.leased) == (1, 3, "limit", False)


def test_an_exact_image_of_an_engine_before_ends_where_a_chunk_can() -> None:
    """As if what was fed since had come behind its cells."""
    log = list(range(400))
    there, adopted = (Sequence(n, 0, exact=True) for n in (1, 2))
    there.feed(0, log[:256], False, 1000)
    there.computed = 255
    there.feed(256, log[256:], False, 1000)
    adopted.feed(0, log[:256], False, 1000)
    adopted.feed(256, log[256:], False, 1000)
    assert adopted.adopt(255, 0, 1000) == ""
    assert adopted.saved == there.boundary(there.computed) < 255
