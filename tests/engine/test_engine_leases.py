"""The rules of docs/leases.md on the real engine, one by one, with the tiny model."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from llmsh.abi import abort, lease
from llmsh.abi.lease import Halted, Sampling, Step
from tests.support.enginehost import EngineHost

pytestmark = pytest.mark.llama
PROMPT = list(b"Once upon a time in a land of tokens")
L = len(PROMPT)
EOS_TOKEN = 276


def fed(engine: EngineHost, q: int) -> int:
    return sum(count for step in engine.steps() for name, count in step.fed if name == q)


def test_ready_says_what_the_model_is(engine: EngineHost) -> None:
    ready = engine.ready
    assert (ready.cells, ready.context, ready.vocab, ready.share, ready.template) == (2048, 2048, 278, True, True)
    assert ready.pid == engine.process.pid
    assert ready.token_bytes == max(len(word) for word in (" the", " and"))
    assert ready.cell_bytes == 2 * 2 * 64 * 2  # keys and values, two layers, 64 numbers of two bytes


def test_a_lease_ends_at_its_bound_with_every_token_reported_once(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    halted = engine.run(1, L + 10)
    assert (halted.n, halted.pos, halted.why) == (1, L + 10, lease.LIMIT)
    assert [row[1] for row in engine.rows(1)] == list(range(L, L + 10))
    assert fed(engine, 1) == L
    assert engine.steps()[-1].used == L + 9


def test_steps_of_a_core_are_numbered_from_one(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 5)
    assert [step.no for step in engine.steps()] == list(range(1, len(engine.steps()) + 1))


def test_a_lease_at_the_length_computes_the_prompt_and_no_token(engine: EngineHost) -> None:
    engine.post(lease.Open(1, 0), lease.Feed(1, 0, PROMPT))
    halted = engine.run(1, L)
    assert (halted.why, halted.pos, engine.rows(1)) == (lease.LIMIT, L, [])
    assert engine.steps()[-1].used == L - 1
    assert fed(engine, 1) == L - 1


def test_a_prompt_computed_ahead_gives_the_same_text(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.begin(2, PROMPT)
    engine.run(1, L)
    engine.run(1, L + 20)
    engine.run(2, L + 20)
    assert engine.tokens(1) == engine.tokens(2)
    assert fed(engine, 1) == L


def test_a_larger_bound_renews_and_a_smaller_one_does_nothing(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.post(lease.Lease(1, 0, L + 3), lease.Lease(1, 0, L + 6), lease.Lease(1, 0, L + 1))
    assert engine.end(1).pos == L + 6


def test_a_lease_or_halt_with_another_number_is_ignored(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.post(lease.Lease(1, 3, L + 9), lease.Lease(1, 0, L + 2))
    assert engine.end(1).pos == L + 2
    engine.post(lease.Lease(1, 0, L + 30), lease.Halt(1, 0), lease.Lease(1, 1, L + 4), lease.Halt(1, 0))
    assert (engine.end(1).n, engine.rows(1)[-1][1]) == (2, L + 3)


def test_halt_ends_the_lease_once_and_keeps_what_was_made(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.grant(1, 2000)
    engine.until(Step, lambda step: bool(step.rows))
    engine.post(lease.Halt(1, 0), lease.Halt(1, 0))
    halted = engine.end(1)
    assert (halted.n, halted.why, halted.pos) == (1, lease.REVOKED, L + len(engine.rows(1)))
    again = engine.run(1, halted.pos + 1)
    assert (again.n, again.pos) == (2, halted.pos + 1)


def test_a_newcomer_is_served_beside_a_long_lease(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.grant(1, 2000)
    engine.until(Step, lambda step: bool(step.rows))
    engine.begin(2, PROMPT)
    assert engine.run(2, L + 3).pos == L + 3
    assert engine.steps()[-1].rows[0][0] == 1


def test_the_end_of_a_text_is_a_row_without_bytes(engine: EngineHost) -> None:
    engine.begin(1, PROMPT, Sampling(logit_bias={EOS_TOKEN: 1000.0}))
    assert engine.run(1, L + 9).why == lease.EOS
    assert [(row[2], row[3]) for row in engine.rows(1)] == [(EOS_TOKEN, b"")]


def test_ends_of_text_can_be_forbidden(engine: EngineHost) -> None:
    engine.begin(1, PROMPT, Sampling(logit_bias={EOS_TOKEN: 1000.0}, ignore_eos=True))
    assert engine.run(1, L + 9).why == lease.LIMIT
    assert EOS_TOKEN not in engine.tokens(1)


def test_a_stop_string_ends_the_lease_where_it_began(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 30)
    text = engine.text(1).decode()
    stop = text[10:14]
    begins = text.index(stop)
    engine.begin(2, PROMPT, Sampling(stop=(stop,)))
    halted = engine.run(2, L + 30)
    assert (halted.why, halted.safe) == (lease.STOP, begins)
    assert all(row[4] <= begins for row in engine.rows(2))
    assert engine.text(2)[: halted.safe].decode() == text[:begins]


def test_a_stop_string_that_two_leases_share_is_found(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 30)
    stop = engine.text(1).decode()[10:14]
    engine.begin(2, PROMPT, Sampling(stop=(stop,)))
    why = ""
    length = L
    while not why or why == lease.LIMIT:
        length += 1
        why = engine.run(2, length).why
    assert why == lease.STOP


def test_characters_are_never_cut(engine: EngineHost) -> None:
    snow = "☃".encode()
    bias = {0xE2: 900.0}
    engine.begin(1, PROMPT, Sampling(logit_bias=bias))
    engine.run(1, L + 1)
    assert engine.rows(1)[-1][4] == 0
    engine.post(lease.Feed(1, L + 1, list(snow[1:])))
    engine.post(lease.Answer(1, L, Sampling()))
    engine.run(1, L + 4)
    assert engine.text(1)[:1] == snow[:1]
    assert engine.rows(1)[-1][4] == 4


def test_the_context_ends_a_lease(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    engine = engines(tiny, cells=256)
    assert (engine.ready.cells, engine.ready.context) == (256, 256)
    engine.begin(1, PROMPT)
    halted = engine.run(1, 100_000)
    assert (halted.why, halted.pos) == (lease.LIMIT, 256)
    assert engine.steps()[-1].used == 255


def test_a_full_cache_halts_who_finds_no_cell_and_nobody_else(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    engine = engines(tiny, cells=256)
    engine.begin(1, list(range(32, 127)) * 2)
    engine.run(1, 200)
    engine.begin(2, list(range(32, 127)))
    assert engine.run(2, 100).why == lease.NOCELL
    assert engine.run(1, 210).why == lease.LIMIT
    done = engine.done(lambda op: lease.Drop(1, op))
    assert done.cells == 0
    assert engine.run(2, 100).why == lease.LIMIT


def test_cut_forgets_and_goes_on(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 8)
    done = engine.done(lambda op: lease.Cut(1, L, op))
    assert (done.error, done.cells) == ("", L - 1)
    engine.post(lease.Answer(1, L, Sampling()))
    engine.run(1, L + 8)
    first, second = engine.tokens(1)[:8], engine.tokens(1)[8:]
    assert first == second


def test_fork_shares_cells_and_both_go_on_alike(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 4)
    used = engine.steps()[-1].used
    done = engine.done(lambda op: lease.Fork(1, 2, L + 4, op))
    assert (done.q, done.cells) == (2, L + 3)
    engine.post(lease.Answer(2, L, Sampling()))
    engine.run(1, L + 12)
    engine.run(2, L + 12)
    assert engine.tokens(2) == engine.tokens(1)[4:]
    assert engine.steps()[-1].used == used + 8 + 8
    engine.done(lambda op: lease.Drop(1, op))
    engine.run(2, L + 13)
    assert engine.steps()[-1].used == L + 12


def test_fork_under_a_lease_takes_the_kernels_length(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.grant(1, 2000)
    engine.until(Step, lambda step: bool(step.rows))
    seen = L + len(engine.rows(1))
    engine.post(lease.Fork(1, 2, seen, 5), lease.Halt(1, 0))
    engine.end(1)
    engine.post(lease.Answer(2, L, Sampling()))
    engine.run(2, seen + 5)
    assert [row[1] for row in engine.rows(2)] == list(range(seen, seen + 5))


def test_saved_cells_are_free_and_loaded_ones_go_on(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.begin(2, PROMPT)
    engine.run(1, L + 20)
    engine.run(2, L + 10)
    assert engine.done(lambda op: lease.Save(2, op)).cells == 0
    engine.run(1, L + 21)
    assert engine.steps()[-1].used == L + 20
    refused = engine.run(2, L + 11)
    assert (refused.why, refused.detail) == (lease.FAULT, "leased while its cells are saved")
    assert engine.done(lambda op: lease.Load(2, op)).cells == L + 9
    engine.run(2, L + 20)
    assert engine.tokens(2) == engine.tokens(1)[:20]


def test_what_is_cut_from_an_image_is_not_loaded(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 10)
    engine.done(lambda op: lease.Save(1, op))
    assert engine.done(lambda op: lease.Cut(1, L, op)).error == ""
    assert engine.done(lambda op: lease.Load(1, op)).cells == L - 1
    engine.post(lease.Answer(1, L, Sampling()))
    engine.run(1, L + 10)
    assert engine.tokens(1)[10:] == engine.tokens(1)[:10]


def test_operations_on_a_leased_sequence_are_refused(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.grant(1, 2000)
    assert engine.done(lambda op: lease.Save(1, op)).error == "q is not quiet"
    assert engine.done(lambda op: lease.Load(1, op)).error == "q is not quiet"
    assert engine.done(lambda op: lease.Cut(1, 3, op)).error == "q is not quiet"
    assert engine.done(lambda op: lease.Score(1, [[65]], op)).error == "q is not quiet"
    engine.post(lease.Feed(1, L, [65]), lease.Halt(1, 0))
    assert engine.end(1).why == lease.REVOKED
    assert engine.run(1, 2000).detail == "fed while not quiet"


def test_rules_broken_are_told_at_the_lease(engine: EngineHost) -> None:
    engine.post(lease.Open(1, 0))
    assert engine.run(1, 5).detail == "leased with an empty log"
    engine.post(lease.Feed(1, 4, [65]))
    assert engine.run(1, 5).detail == "feed at 4, the log is 0 long"
    engine.post(lease.Feed(1, 0, [99999]))
    assert engine.run(1, 5).detail == "feed of a token outside the vocabulary of 278"
    engine.post(lease.Feed(1, 0, PROMPT))
    assert engine.run(1, L + 1).detail == "leased without an answer"
    engine.post(lease.Answer(1, L, Sampling(grammar="root ::= (")))
    assert engine.run(1, L + 1).detail == "the grammar cannot be parsed"
    engine.post(lease.Answer(1, L, Sampling()))
    assert engine.run(1, L + 1).why == lease.LIMIT


def test_operations_on_a_stranger_are_answered(engine: EngineHost) -> None:
    assert engine.done(lambda op: lease.Drop(9, op)).error == "no such sequence"


def test_drop_ends_a_lease_without_halted(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.grant(1, 2000)
    engine.until(Step, lambda step: bool(step.rows))
    engine.done(lambda op: lease.Drop(1, op))
    engine.begin(2, PROMPT)
    engine.run(2, L + 2)
    assert [message.q for message in engine.seen if isinstance(message, Halted)] == [2]
    assert engine.steps()[-1].used == L + 1


def test_more_sequences_than_slots_wait_for_cells_not_for_names(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    engine = engines(tiny, sequences=2)
    for q in range(1, 9):
        engine.begin(q, PROMPT)
    for q in range(1, 9):
        assert engine.run(q, L + 2).why == lease.LIMIT
        assert engine.done(partial(lease.Save, q)).error == ""
    assert len({tuple(engine.tokens(q)) for q in range(1, 9)}) == 1
    engine.done(lambda op: lease.Load(1, op))
    engine.done(lambda op: lease.Load(2, op))
    assert engine.done(lambda op: lease.Load(3, op)).error == "all 2 slots of core 0 are taken"
    assert engine.run(4, L + 4).detail == "leased while its cells are saved"


@pytest.mark.parametrize("core", [0, lease.EXACT])
def test_an_aborted_step_is_made_again_without_who_was_dropped(engine: EngineHost, core: int) -> None:
    """Every step of q 1's prompt is aborted before it begins; the rest follows as if never."""
    exact = core == lease.EXACT
    engine.begin(1, PROMPT * 8, exact=exact)
    for step in range(1, 4):
        engine.page[abort.place(core, step)] = 1
    engine.grant(1, 8 * L + 5)
    halted = engine.end(1)
    undone = [step for step in engine.steps() if not step.fed and not step.rows]
    assert [step.no for step in undone] == [1, 2, 3]
    assert (halted.why, fed(engine, 1)) == (lease.LIMIT, 8 * L)
    assert engine.steps()[-1].used == 8 * L + 4
    assert bytes(engine.page) == bytes(abort.SIZE)


def test_an_abort_that_comes_late_hits_nothing(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 5)
    last = engine.steps()[-1].no
    engine.page[abort.place(0, last)] = 1
    engine.run(1, L + 400)
    assert all(step.rows for step in engine.steps() if step.no > last)


def test_neighbours_of_an_aborted_step_lose_nothing(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 12)
    engine.begin(2, PROMPT)
    engine.begin(3, PROMPT)
    before = engine.steps()[-1].no
    engine.page[abort.place(0, before + 2)] = 1
    engine.post(lease.Lease(2, 0, L + 12), lease.Lease(3, 0, L + 12))
    engine.end(2)
    if engine.halted.get(3) is None:
        engine.end(3)
    assert engine.tokens(2) == engine.tokens(3) == engine.tokens(1)


def test_the_engine_ends_with_the_kernel(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.grant(1, 2000)
    engine.close()
    assert engine.process.returncode == 0


def test_what_is_no_message_ends_the_engine_with_one_line(engine: EngineHost) -> None:
    engine._data.sendall(b"\0\0\0\1\xc1")
    with pytest.raises(EOFError):
        engine.receive()
    errors = engine.close()
    assert engine.process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert errors.startswith(b"engine: data channel: ")


def test_a_model_that_is_none_is_refused(tmp_path: Path, engines: Callable[..., EngineHost]) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(os.urandom(4096))
    engine = engines(path)
    assert isinstance(engine.first, lease.Failed)
    assert engine.first.code == "ENOEXEC"
    engine.close()
    assert engine.process.returncode == 1


@pytest.mark.parametrize(
    ("answer", "sampling", "why", "safe"),
    [
        ([*b"words STOP"], Sampling(stop=("STOP",)), lease.STOP, 6),
        ([*b"words", EOS_TOKEN], Sampling(), lease.EOS, 5),
        ([*b'{"a":1}'], Sampling(grammar='root ::= "{\\"a\\":1}"'), lease.GRAMMAR, 7),
    ],
    ids=["stop", "eos", "grammar"],
)
def test_an_answer_that_has_ended_in_the_log_is_not_gone_on_with(
    engine: EngineHost, answer: list[int], sampling: Sampling, why: str, safe: int
) -> None:
    """The engine that saw its end died before it said so; what the kernel has is fed to the next."""
    log = PROMPT + answer
    engine.post(lease.Open(1, 0), lease.Feed(1, 0, log), lease.Answer(1, L, sampling))
    halted = engine.run(1, len(log) + 20)
    assert (halted.why, halted.pos, halted.safe, engine.rows(1)) == (why, len(log), safe, [])


@pytest.mark.parametrize("sampling", [Sampling(rated=True), Sampling(rated=True, temperature=1.5, seed=3, top_k=0)])
def test_a_rated_answer_says_how_likely_it_is(engine: EngineHost, sampling: Sampling) -> None:
    engine.begin(1, PROMPT, sampling)
    first, second = engine.run(1, L + 5), engine.run(1, L + 12)
    tokens = engine.tokens(1)
    assert len(tokens) == 12
    engine.post(lease.Open(2, 0), lease.Feed(2, 0, PROMPT))
    engine.run(2, L)
    scores = engine.done(lambda op: lease.Score(2, [tokens[:5], tokens], op)).scores
    assert [first.logprob, first.logprob + second.logprob] == pytest.approx(scores, rel=1e-3)
    assert scores[0] < 0
    engine.begin(3, PROMPT)
    assert engine.run(3, L + 5).logprob == 0.0
