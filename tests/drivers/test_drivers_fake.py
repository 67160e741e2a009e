"""The fake device against the rules of docs/leases.md, one by one."""

import pytest

from llmsh.abi import lease
from llmsh.abi.errors import Error
from llmsh.drivers.fake import options
from llmsh.drivers.fakecore import Options, ProtocolError
from llmsh.drivers.faketext import Script
from tests.support.devicebench import PROMPT, Bench


def test_ready_comes_first_with_sizes() -> None:
    bench = Bench(Options(cells=512, context=300, sequences=7))
    ready = bench.kernel.of(lease.Ready)[0]
    assert (ready.cells, ready.context, ready.sequences, ready.vocab, ready.token_bytes) == (512, 300, 7, 257, 1)
    assert bench.kernel.seen[0] == (1, ready)


def test_a_lease_ends_at_its_bound_with_every_token_reported_once() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True))
    bench.post(lease.Lease(1, 0, len(PROMPT) + 10)).idle()
    rows = [row for step in bench.kernel.of(lease.Step) for row in step.rows]
    assert [row[1] for row in rows] == list(range(len(PROMPT), len(PROMPT) + 10))
    halted = bench.kernel.of(lease.Halted)
    assert [(each.q, each.n, each.pos, each.why) for each in halted] == [(1, 1, len(PROMPT) + 10, lease.LIMIT)]
    assert sum(n for step in bench.kernel.of(lease.Step) for _, n in step.fed) == len(PROMPT)


def test_a_lease_at_the_length_computes_the_prompt_and_no_token() -> None:
    bench = Bench().begin()
    bench.post(lease.Lease(1, 0, len(PROMPT))).idle()
    step, halted = bench.kernel.of(lease.Step)[-1], bench.kernel.of(lease.Halted)[0]
    assert (step.rows, step.used, halted.pos) == ([], len(PROMPT) - 1, len(PROMPT))


def test_a_larger_bound_renews_and_a_smaller_one_does_nothing() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True))
    bench.post(
        lease.Lease(1, 0, len(PROMPT) + 3), lease.Lease(1, 0, len(PROMPT) + 6), lease.Lease(1, 0, len(PROMPT) + 1)
    )
    bench.idle()
    assert [each.pos for each in bench.kernel.of(lease.Halted)] == [len(PROMPT) + 6]


def test_a_renewal_that_crosses_the_end_of_the_text_dies() -> None:
    bench = Bench(writer=Script(b"abc")).begin()
    bench.post(lease.Lease(1, 0, len(PROMPT) + 20)).idle()
    bench.post(lease.Lease(1, 0, len(PROMPT) + 40)).idle()
    assert [(each.why, each.pos) for each in bench.kernel.of(lease.Halted)] == [(lease.EOS, len(PROMPT) + 3)]
    assert bench.device.engine is not None
    assert bench.device.engine.ignored == 1


def test_halt_keeps_the_token_of_the_step_under_way() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, 500))
    bench.clock.run_until(lambda: len(bench.text()) == 5)
    assert bench.device.busy
    bench.post(lease.Halt(1, 0)).idle()
    assert len(bench.text()) == 6
    assert [(each.why, each.pos) for each in bench.kernel.of(lease.Halted)] == [(lease.REVOKED, len(PROMPT) + 6)]


def test_a_halt_of_another_lease_is_ignored() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, len(PROMPT) + 2)).idle()
    bench.post(lease.Lease(1, 1, len(PROMPT) + 4), lease.Halt(1, 0)).idle()
    assert [each.why for each in bench.kernel.of(lease.Halted)] == [lease.LIMIT, lease.LIMIT]


def test_text_depends_on_seed_position_and_log_only() -> None:
    def run(seed: int, company: bool, chunk: int) -> bytes:
        bench = Bench(Options(prefill=150 / chunk))
        if company:
            bench.begin(9, lease.Sampling(seed=5, ignore_eos=True)).post(lease.Lease(9, 0, 200))
        bench.begin(sampling=lease.Sampling(seed=seed)).post(lease.Lease(1, 0, 400)).idle()
        return bench.text()

    assert run(1, False, 1000) == run(1, True, 7) != run(2, False, 1000)
    assert run(1, False, 1000).replace(b" ", b"").islower()


def test_an_engine_that_comes_back_goes_on_with_the_same_text() -> None:
    whole = Bench().begin(sampling=lease.Sampling(seed=3)).post(lease.Lease(1, 0, 400)).idle().text()
    bench = Bench().begin(sampling=lease.Sampling(seed=3)).post(lease.Lease(1, 0, 400))
    bench.clock.run_until(lambda: len(bench.text()) == 4)
    bench.device.crash()
    bench.clock.settle()
    log = PROMPT + list(bench.text())
    bench.device.start(bench.kernel)
    bench.post(
        lease.Open(1, 0),
        lease.Feed(1, 0, log),
        lease.Answer(1, len(PROMPT), lease.Sampling(seed=3)),
        lease.Lease(1, 0, 400),
    ).idle()
    assert bench.text() == whole


@pytest.mark.parametrize(
    ("answer", "stops", "released", "why"),
    [
        (b"one two END three", ("END",), b"one two ", lease.STOP),
        (b"aab", ("ab", "aab"), b"", lease.STOP),
        (b"ENEND", ("END",), b"EN", lease.STOP),
        (b"EN", ("END",), b"", lease.EOS),
        ("né".encode(), (), "né".encode(), lease.EOS),
        (b"caf\xc3", (), b"caf", lease.EOS),
        (b"\xe2\x82", (), b"", lease.EOS),
        (b"\x80\x80ok", (), b"\x80\x80ok", lease.EOS),
    ],
)
def test_safe_counts_what_nothing_can_claim(answer: bytes, stops: tuple[str, ...], released: bytes, why: str) -> None:
    bench = Bench(writer=Script(answer)).begin(sampling=lease.Sampling(stop=stops)).post(lease.Lease(1, 0, 300)).idle()
    halted = bench.kernel.of(lease.Halted)[0]
    safes = [row[4] for step in bench.kernel.of(lease.Step) for row in step.rows]
    assert (bench.text()[: halted.safe], halted.why) == (released, why)
    assert safes == sorted(safes)


def test_the_state_of_a_stop_string_outlives_the_lease() -> None:
    bench = Bench(writer=Script(b"xSTOPy")).begin(sampling=lease.Sampling(stop=("STOP",)))
    for n in range(5):
        bench.post(lease.Lease(1, n, len(PROMPT) + n + 1)).idle()
    assert [each.why for each in bench.kernel.of(lease.Halted)] == [lease.LIMIT] * 4 + [lease.STOP]
    assert bench.kernel.of(lease.Halted)[-1].safe == 1


def test_a_step_of_prefill_is_at_most_150_ms_and_decoding_goes_on_beside_it() -> None:
    bench = Bench(Options(prefill=1.0, cells=4000))
    bench.begin(1, lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, 3000))
    bench.clock.run_until(lambda: len(bench.text()) == 1)
    bench.begin(2, prompt=list(b"x" * 900)).post(lease.Lease(2, 0, 900))
    bench.clock.run_until(lambda: any(each.q == 2 for each in bench.kernel.of(lease.Halted)))
    steps = bench.kernel.of(lease.Step)
    assert max(step.ms for step in steps) <= 150
    long = [step for step in steps if any(q == 2 for q, _ in step.fed)]
    assert len(long) >= 6
    assert all(any(row[0] == 1 for row in step.rows) for step in long)


def test_an_exact_sequence_is_cut_at_multiples_of_256_and_single_tokens_go_alone() -> None:
    bench = Bench(Options(prefill=0.1))
    bench.post(lease.Open(1, 0, exact=True), lease.Feed(1, 0, [97] * 600), lease.Lease(1, 0, 600)).idle()
    assert [n for step in bench.kernel.of(lease.Step) for _, n in step.fed] == [256, 256, 87]
    bench.post(lease.Feed(1, 600, [98] * 5, single=True), lease.Lease(1, 1, 605)).idle()
    assert [n for step in bench.kernel.of(lease.Step) for _, n in step.fed][3:] == [1] * 5


def test_fork_shares_cells_while_the_parent_runs_and_drop_gives_them_back() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, len(PROMPT) + 50))
    bench.clock.run_until(lambda: len(bench.text()) == 3)
    length = len(PROMPT) + 2
    bench.post(lease.Fork(1, 2, length, op=7)).idle()
    done = bench.kernel.of(lease.Done)[0]
    assert (done.op, done.q, done.cells, done.error) == (7, 2, length, "")
    engine = bench.device.engine
    assert engine is not None
    assert engine.cores[0].cells.used == len(PROMPT) + 49
    bench.post(lease.Drop(1, op=8)).idle()
    assert engine.cores[0].cells.used == length
    bench.post(lease.Drop(2, op=9)).idle()
    assert (engine.cores[0].cells.used, engine.sequences) == (0, {})


def test_saved_and_loaded_goes_on_without_computing_anything_again() -> None:
    bench = Bench().begin(sampling=lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, len(PROMPT) + 4)).idle()
    bench.post(lease.Save(1, op=1)).idle()
    assert bench.kernel.of(lease.Done)[-1].cells == 0
    before = sum(n for step in bench.kernel.of(lease.Step) for _, n in step.fed)
    bench.post(lease.Load(1, op=2), lease.Lease(1, 1, len(PROMPT) + 6)).idle()
    assert bench.kernel.of(lease.Done)[-1].cells == len(PROMPT) + 3
    assert len(bench.text()) == 6
    assert sum(n for step in bench.kernel.of(lease.Step) for _, n in step.fed) == before


def test_cut_forgets_and_the_rest_stays_computed() -> None:
    bench = Bench().begin().post(lease.Lease(1, 0, len(PROMPT))).idle()
    bench.post(lease.Cut(1, 10, op=3), lease.Feed(1, 10, [120] * 5), lease.Lease(1, 1, 15)).idle()
    assert bench.kernel.of(lease.Done)[0].cells == 9
    assert bench.kernel.of(lease.Step)[-1].fed == [(1, 5)]


def test_score_computes_the_prompt_and_is_the_same_every_time() -> None:
    bench = Bench().begin()
    labels = [list(b"positive"), list(b"neg")]
    bench.post(lease.Score(1, labels, op=4)).idle()
    bench.post(lease.Score(1, labels, op=5)).idle()
    first, second = bench.kernel.of(lease.Done)
    assert first.scores == second.scores
    assert len(first.scores) == 2
    assert max(first.scores) < 0
    assert first.cells == len(PROMPT) - 1


def test_control_channel() -> None:
    bench = Bench()
    pieces = [lease.Piece("system", "be kind"), lease.Piece("user", "hé")]
    rendered = bench.ask(lease.Render(0, pieces)).tokens[0]
    assert bytes(rendered) == "<system>be kind\n<user>hé\n<assistant>".encode()
    assert bytes(bench.ask(lease.Render(0, pieces, raw=True)).tokens[0]) == "be kindhé".encode()
    assert bench.ask(lease.Tokenize(0, ["ab", ""])).tokens == [[97, 98], []]


def test_a_schema_becomes_a_grammar_whose_answer_is_a_document() -> None:
    bench = Bench()
    made = bench.ask(
        lease.Schema(0, '{"type":"object","properties":{"name":{"type":"string"},"n":{"enum":[3,4]}}}')
    ).text
    bench.begin(sampling=lease.Sampling(grammar=made)).post(lease.Lease(1, 0, 200)).idle()
    assert bench.text() == b'{"name": "word", "n": 3}'
    assert bench.kernel.of(lease.Halted)[0].why == lease.GRAMMAR
    for schema, error in (
        (
            '{"properties":{"a":{"items":{"pattern":"x"},"type":"array"}}}',
            "/properties/a/items/pattern: keyword is not supported",
        ),
        ('{"properties":{"a":true}}', "/properties/a: not a schema (an object or true)"),
        ('{"type":"colour"}', '/type: no such type: "colour"'),
        ("[", "/: not JSON"),
    ):
        assert bench.ask(lease.Schema(0, schema)).error == f"schema: {error}"


def test_options_in_the_name() -> None:
    assert options("fake") == Options()
    assert options("fake:ms=2.5,cells=99") == Options(ms=2.5, cells=99)
    for wrong in ("colour=1", "cells=many", "cells=99999999", "sequences=0", "ms=-1", "ms=nan", "ms=inf"):
        with pytest.raises(Error, match="fake:"):
            options(f"fake:{wrong}")


def test_many_sequences_in_one_step() -> None:
    bench = Bench(Options(cells=20000))
    for q in range(1, 257):
        bench.begin(q, lease.Sampling(seed=q, ignore_eos=True)).post(lease.Lease(q, 0, len(PROMPT) + 3))
    bench.idle()
    assert {len(bench.text(q)) for q in range(1, 257)} == {3}
    assert max(step.ms for step in bench.kernel.of(lease.Step)) <= 150
    # Any number may be open; a seat is taken with the first cell.
    bench.begin(300).idle()
    with pytest.raises(ProtocolError, match="256 sequences hold cells already"):
        bench.post(lease.Lease(300, 0, len(PROMPT))).idle()


def test_an_exact_sequence_has_a_core_of_its_own() -> None:
    bench = Bench(Options(cells=300)).begin(1, lease.Sampling(ignore_eos=True)).post(lease.Lease(1, 0, 60))
    bench.post(lease.Open(2, lease.EXACT, exact=True), lease.Feed(2, 0, PROMPT), lease.Lease(2, 0, len(PROMPT))).idle()
    assert [step.used for step in bench.kernel.of(lease.Step) if step.core == lease.EXACT] == [len(PROMPT) - 1]
    assert [step.no for step in bench.kernel.of(lease.Step) if step.core == 0][:3] == [1, 2, 3]
    bench.post(lease.Open(3, lease.EXACT, exact=True), lease.Feed(3, 0, PROMPT)).idle()
    with pytest.raises(ProtocolError, match="already"):
        bench.post(lease.Lease(3, 0, len(PROMPT))).idle()
