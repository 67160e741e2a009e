"""What a step computes, from sequences made by hand; no model."""

from llmsh.abi.limits import STEP_MAX_MS
from llmsh.engine.plan import LONE, LONE_MS, PLANNED, Work, bound, lone, plan, room
from llmsh.engine.rate import FIRST, Rate
from llmsh.engine.score import Scoring
from llmsh.engine.sequence import Sequence

CONTEXT = 1000


def sequence(q: int, length: int, computed: int, upto: int | None, exact: bool = False) -> Sequence:
    made = Sequence(q, int(exact), exact)
    made.feed(0, [1] * length, False, 10)
    made.computed, made.upto = computed, upto
    return made


def parts(works: list[Work]) -> list[tuple[int, int, int, bool]]:
    return [(work.sequence.q, work.start, work.end, work.row) for work in works]


def test_generating_sequences_get_a_token_and_the_shortest_prompt_most_of_the_rest() -> None:
    working = [sequence(1, 10, 9, 20), sequence(2, 500, 0, 510), sequence(3, 10, 9, 20), sequence(4, 500, 100, 510)]
    assert parts(plan(working, 32, 512, CONTEXT, 8)) == [
        (1, 9, 10, True), (3, 9, 10, True), (4, 100, 127, False), (2, 0, 3, False)
    ]  # fmt: skip


def test_a_prompt_that_needs_little_leaves_its_share_to_the_next() -> None:
    working = [sequence(1, 4, 0, 20), sequence(2, 500, 0, 510)]
    assert parts(plan(working, 32, 512, CONTEXT, 8)) == [(1, 0, 4, True), (2, 0, 28, False)]


def test_nobody_with_a_prompt_stands_still_beside_shorter_ones() -> None:
    working = [sequence(q, 100 * q, 0, 900) for q in (3, 1, 2, 4)]
    sizes = {work.sequence.q: work.size for work in plan(working, 64, 512, CONTEXT, 8)}
    assert sizes == {1: 52, 2: 4, 3: 4, 4: 4}


def test_a_lease_at_the_length_stops_before_the_last_token() -> None:
    assert parts(plan([sequence(1, 10, 0, 10)], 32, 512, CONTEXT, 8)) == [(1, 0, 9, False)]


def test_a_prompt_that_is_alone_goes_in_equal_large_parts() -> None:
    assert lone([sequence(1, 100, 0, 120)], CONTEXT) == 100
    assert lone([sequence(1, LONE + 2, 0, LONE + 9)], CONTEXT) == LONE // 2 + 1
    assert lone([sequence(1, LONE + 2, LONE + 1, LONE + 9)], CONTEXT) == 1
    assert lone([sequence(1, 10, 9, 10)], CONTEXT) == 0, "nothing is left to compute"
    assert lone([sequence(1, 500, 0, 510), sequence(2, 10, 9, 20)], CONTEXT) == 0


def test_a_prompt_that_was_in_somebodys_way_goes_in_small_parts_until_the_next() -> None:
    one = sequence(1, 500, 0, 510)
    one.interrupted = True
    assert lone([one], CONTEXT) == 0
    one.upto = None
    one.feed(500, [1] * 4, False, 10)
    one.upto = 600
    assert lone([one], CONTEXT) == LONE - 4


def test_everybody_moves_even_without_room() -> None:
    working = [sequence(q, 10, 9, 20) for q in range(20)] + [sequence(q, 50, 0, 60) for q in range(20, 23)]
    works = plan(working, 8, 512, CONTEXT, 8)
    assert len(works) == 23
    assert sum(work.size for work in works) == 23


def test_a_batch_is_never_larger_than_its_capacity() -> None:
    working = [sequence(q, 10, 9, 20) for q in range(12)] + [sequence(12, 50, 0, 60)]
    assert sum(work.size for work in plan(working, 100, 8, CONTEXT, 8)) == 8


def test_who_failed_among_others_goes_alone() -> None:
    working = [sequence(1, 10, 9, 20), sequence(2, 10, 9, 20)]
    working[1].alone = True
    assert parts(plan(working, 32, 512, CONTEXT, 8)) == [(2, 9, 10, True)]


def test_exact_sequences_have_no_company_and_fixed_cuts() -> None:
    one, two = sequence(1, 100, 0, 120, exact=True), sequence(2, 100, 0, 120, exact=True)
    assert parts(plan([one, two], 500, 512, CONTEXT, 8)) == [(1, 0, 32, False)]


def test_a_score_computes_the_whole_prompt_and_then_its_labels_in_groups() -> None:
    scoring = sequence(1, 10, 0, None)
    scoring.scoring = Scoring(5, [[1, 2, 3]] * 5)
    assert parts(plan([scoring], 32, 512, CONTEXT, 8)) == [(1, 0, 10, True)]
    scoring.computed, scoring.scoring.prompted = 10, True
    works = plan([scoring], 32, 512, CONTEXT, 2)
    assert [part.label for part in works[0].parts] == [0, 1]
    assert works[0].size == 4


def test_a_prompt_that_is_alone_has_large_steps_that_are_never_long() -> None:
    """On a machine that reads ten tokens a second 256 of them would be half a minute without a word."""
    prompt = sequence(1, 1000, 0, 1010)
    assert lone([prompt], CONTEXT) == 250
    rate = Rate()
    assert lone([prompt], CONTEXT, rate.room(LONE_MS)) <= FIRST
    for _ in range(10):
        rate.saw(32, 32 * 100.0)
    assert lone([prompt], CONTEXT, rate.room(LONE_MS)) == LONE_MS / 100
    for _ in range(40):
        rate.saw(256, 256 * 5.0)
    assert lone([prompt], CONTEXT, rate.room(LONE_MS)) == 250


def test_a_prompt_that_is_alone_goes_in_usual_parts_where_large_ones_gain_nothing() -> None:
    """A large one makes who comes wait, or is lost when it is aborted."""
    prompt, rate = sequence(1, 1000, 0, 1010), Rate()
    for _ in range(10):
        rate.saw(32, 32 * 5.0)
    assert room([prompt], CONTEXT, rate, large=False) == PLANNED * STEP_MAX_MS / 5
    assert room([prompt], CONTEXT, rate, large=True) > STEP_MAX_MS / 5


def test_a_step_is_bounded_by_the_pace_of_who_makes_a_token_in_it() -> None:
    one, two = sequence(1, 10, 9, 20), sequence(2, 500, 0, 510)
    assert bound([one, two], CONTEXT) == STEP_MAX_MS
    two.pace = 50.0
    assert bound([one, two], CONTEXT) == STEP_MAX_MS, "it has no token to wait for yet"
    one.pace = 100.0
    assert bound([one, two], CONTEXT) == 100.0
    one.pace = 1000.0
    assert bound([one, two], CONTEXT) == STEP_MAX_MS
