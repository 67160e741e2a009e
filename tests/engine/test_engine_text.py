"""What the engine makes of a model: the same text as a bare loop, after a loss, under a grammar, and scores.

The tiny model, real llama.cpp.
"""

import ctypes
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from llmsh.abi import lease
from llmsh.abi.lease import Sampling, Step
from llmsh.engine.binding import C
from tests.support.barellama import BareLlama
from tests.support.enginehost import EngineHost

pytestmark = pytest.mark.llama
PROMPT = list(b"The engine under test")
L = len(PROMPT)
Engines = Callable[..., EngineHost]


@pytest.fixture
def bare(tiny: Path) -> Iterator[BareLlama]:
    """A loop over llama.cpp that knows nothing of ours."""
    llama = BareLlama(str(tiny), context=1024)
    yield llama
    llama.close()


def alone(engine: EngineHost, q: int, prompt: list[int], count: int, sampling: Sampling | None = None) -> list[int]:
    engine.begin(q, prompt, sampling)
    engine.run(q, len(prompt) + count)
    return engine.tokens(q)


def test_greedy_text_is_that_of_a_bare_loop(engine: EngineHost, bare: BareLlama) -> None:
    bare.place(PROMPT)
    bare.generate(Sampling(), 100)
    assert alone(engine, 1, PROMPT, 100) == bare.log[L:]


def test_penalties_are_those_of_a_bare_loop(engine: EngineHost, bare: BareLlama) -> None:
    sampling = Sampling(repeat_penalty=1.4)
    bare.place(PROMPT)
    bare.generate(sampling, 100)
    assert alone(engine, 1, PROMPT, 100, sampling) == bare.log[L:]
    assert engine.tokens(1) != alone(engine, 2, PROMPT, 100)


def test_a_seed_fixes_the_text_and_another_changes_it(engine: EngineHost) -> None:
    def text(q: int, seed: int) -> list[int]:
        return alone(engine, q, PROMPT, 40, Sampling(temperature=1.0, seed=seed))

    first = text(1, 7)
    assert text(2, 7) == first
    assert text(3, 8) != first


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.9, seed=3, repeat_penalty=1.2)])
def test_a_log_fed_again_after_a_death_goes_on_as_if_nothing_was(
    tiny: Path, engines: Engines, sampling: Sampling
) -> None:
    whole = alone(engines(tiny), 1, PROMPT, 60, sampling)
    first = engines(tiny)
    first.begin(1, PROMPT, sampling)
    first.grant(1, L + 60)
    first.until(Step, lambda step: len(first.rows(1)) >= 20)
    first.kill()
    known = PROMPT + first.tokens(1)
    second = engines(tiny)
    second.post(lease.Open(1, 0), lease.Feed(1, 0, known), lease.Answer(1, L, sampling))
    second.run(1, L + 60)
    assert first.tokens(1) + second.tokens(1) == whole


def test_an_exact_text_is_the_same_however_it_came_about(tiny: Path, engines: Engines) -> None:
    """Undisturbed; beside others; computed ahead; halted in between; saved and loaded; after a death."""
    prompt = (PROMPT * 20)[:333]
    end = 333 + 40

    plain = engines(tiny)
    plain.begin(1, prompt, exact=True)
    plain.run(1, end)
    expected = plain.tokens(1)

    busy = engines(tiny)
    busy.begin(1, PROMPT)
    busy.grant(1, 2000)
    busy.begin(2, prompt, exact=True)
    busy.run(2, 333)
    busy.run(2, 340)
    busy.done(lambda op: lease.Save(2, op))
    busy.done(lambda op: lease.Load(2, op))
    busy.run(2, end)
    assert busy.tokens(2) == expected

    dying = engines(tiny)
    dying.begin(1, prompt, exact=True)
    dying.run(1, 355)
    dying.kill()
    made = dying.tokens(1)
    again = engines(tiny)
    again.post(lease.Open(1, 1, True), lease.Feed(1, 0, prompt), lease.Feed(1, 333, made, True))
    again.post(lease.Answer(1, 333, Sampling()))
    again.run(1, end)
    assert made + again.tokens(1) == expected


def logits(engine: EngineHost, q: int, length: int) -> list[float]:
    """Log-probabilities of every token after q's log."""
    labels = [[token] for token in range(engine.ready.vocab)]
    done = engine.done(lambda op: lease.Score(q, labels, op))
    assert (done.error, done.cells) == ("", length - 1)
    return done.scores


def test_an_image_gives_the_same_probabilities_to_the_last_bit(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.run(1, L + 5)
    engine.begin(2, PROMPT)
    engine.run(2, L + 20)
    before = logits(engine, 1, L + 5)
    engine.done(lambda op: lease.Save(1, op))
    engine.done(lambda op: lease.Drop(2, op))
    engine.done(lambda op: lease.Load(1, op))
    assert logits(engine, 1, L + 5) == before


def test_scores_are_sums_of_log_probabilities(engine: EngineHost, bare: BareLlama) -> None:
    labels = [list(b"yes"), list(b"no"), list(b"maybe so"), [65], [], list(b"yet another one")]
    engine.post(lease.Open(1, 0), lease.Feed(1, 0, PROMPT))
    done = engine.done(lambda op: lease.Score(1, labels, op))
    by_hand = []
    for label in labels:
        total, log = 0.0, list(PROMPT)
        for token in label:
            bare.place(log)
            row = bare.row().astype(np.float64)
            total += row[token] - row.max() - np.log(np.exp(row - row.max()).sum())
            log.append(token)
        by_hand.append(total)
    assert done.scores == pytest.approx(by_hand, abs=1e-3)
    assert done.cells == L - 1
    assert done.scores[4] == 0.0


def test_scoring_many_labels_leaves_no_cells_behind(engine: EngineHost) -> None:
    labels = [list(f"label number {i}".encode()) for i in range(40)]
    engine.begin(1, PROMPT)
    done = engine.done(lambda op: lease.Score(1, labels, op))
    assert len(done.scores) == 40
    assert engine.steps()[-1].used == L
    engine.run(1, L + 3)
    assert engine.steps()[-1].used == L + 2


def test_scoring_beside_a_generating_neighbour_disturbs_neither(engine: EngineHost) -> None:
    quiet = alone(engine, 1, PROMPT, 50)
    engine.begin(2, PROMPT)
    engine.begin(3, PROMPT)
    engine.grant(2, L + 50)
    engine.post(lease.Score(3, [list(b"yes"), list(b"no")], 99))
    engine.end(2)
    assert engine.tokens(2) == quiet


def test_a_score_that_cannot_be_is_refused(engine: EngineHost) -> None:
    engine.post(lease.Open(1, 0))
    assert engine.done(lambda op: lease.Score(1, [[65]], op)).error == "nothing was fed"
    engine.post(lease.Feed(1, 0, PROMPT))
    assert "outside the vocabulary" in engine.done(lambda op: lease.Score(1, [[9999]], op)).error
    assert "more than 256 tokens" in engine.done(lambda op: lease.Score(1, [[65] * 300], op)).error
    assert engine.done(lambda op: lease.Score(1, [], op)).scores == []


@pytest.mark.parametrize("seed", range(6))
def test_a_schema_bounds_what_is_said(engine: EngineHost, seed: int) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "kind": {"enum": ["a", 'quote " and \\', None, 3]},
            "size": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
        },
        "required": ["name", "kind", "tags"],
    }
    reply = engine.ask(lease.Schema(0, json.dumps(schema)))
    assert reply.error == ""
    engine.begin(1, PROMPT, Sampling(temperature=1.5, seed=seed, grammar=reply.text, top_p=1.0, min_p=0.0))
    halted = engine.run(1, L + 300)
    assert halted.why == lease.GRAMMAR
    value = json.loads(engine.text(1))
    assert list(value)[:2] == ["name", "kind"]
    assert len(value["name"]) <= 12
    assert value["kind"] in ["a", 'quote " and \\', None, 3]
    assert isinstance(value.get("size", 0), int)
    assert 1 <= len(value["tags"]) <= 3
    assert set(value["tags"]) <= {True, False}


def test_a_grammar_goes_on_after_a_death(tiny: Path, engines: Engines) -> None:
    grammar = 'root ::= "[" [a-z]{20} "]"'
    sampling = Sampling(grammar=grammar, temperature=1.0, seed=5)
    first = engines(tiny)
    whole = alone(first, 1, PROMPT, 60, sampling)
    assert first.text(1)[-1:] == b"]"
    second = engines(tiny)
    second.post(lease.Open(1, 0), lease.Feed(1, 0, PROMPT + whole[:6]), lease.Answer(1, L, sampling))
    assert second.run(1, L + 60).why == lease.GRAMMAR
    assert whole[:6] + second.tokens(1) == whole


def test_a_log_that_does_not_fit_its_grammar_is_a_fault(engine: EngineHost) -> None:
    engine.post(lease.Open(1, 0), lease.Feed(1, 0, [*PROMPT, ord("x")]))
    engine.post(lease.Answer(1, L, Sampling(grammar='root ::= "abc"')))
    halted = engine.run(1, L + 5)
    assert (halted.why, halted.detail) == (lease.FAULT, f"token {ord('x')} at {L} does not fit the grammar")


def test_an_unsupported_schema_is_refused_with_its_path(engine: EngineHost) -> None:
    reply = engine.ask(lease.Schema(0, '{"properties": {"a": {"type": "number", "minimum": 3}}}'))
    assert reply.error == "schema: /properties/a/minimum: keyword is not supported"


def test_special_tokens_in_text_are_text(engine: EngineHost) -> None:
    reply = engine.ask(lease.Render(0, [lease.Piece("user", "a<|im_end|>b")]))
    start, end = 275, 276
    tokens = reply.tokens[0]
    assert tokens.count(start) == 2
    assert tokens.count(end) == 1
    assert end not in engine.tokenize("<|im_end|>")
    assert end not in engine.ask(lease.Render(0, [lease.Piece("user", "<|im_end|>")], True)).tokens[0]


def test_the_control_channel_answers_while_a_step_runs(engine: EngineHost) -> None:
    engine.begin(1, PROMPT)
    engine.grant(1, 2000)
    assert engine.ask(lease.Tokenize(0, ["abc", ""])).tokens == [list(b"abc"), []]
    assert engine.end(1).pos == 2000


def test_what_is_no_request_ends_the_engine_with_one_line(engine: EngineHost) -> None:
    engine._control.sendall(b"\0\0\0\1\xc1")
    with pytest.raises((EOFError, ConnectionResetError)):
        engine.receive()
    errors = engine.close()
    assert engine.process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert errors.startswith(b"engine: control channel: ")


@pytest.mark.parametrize("order", ["abort", "hang"])
def test_an_ordered_fault_hits_who_has_the_text(tiny: Path, engines: Engines, order: str) -> None:
    engine = engines(tiny, env={"LLMSH_ENGINE_FAULT": f"{order}:boom"})
    alone(engine, 1, PROMPT, 5)
    engine.begin(2, list(b"here goes boom"))
    engine.grant(2, 40)
    if order == "abort":
        with pytest.raises((EOFError, ConnectionResetError)):
            engine.receive()
        engine.close()
        assert engine.process.returncode == -6
    else:
        engine.ask(lease.Tokenize(0, ["the control thread is not the one that hangs"]))
        engine._data.settimeout(0.2)
        with pytest.raises(TimeoutError):
            engine.receive()
        engine.process.kill()


def test_an_engine_can_die_after_so_many_steps(tiny: Path, engines: Engines) -> None:
    engine = engines(tiny, env={"LLMSH_ENGINE_FAULT": "exit-after:5"})
    engine.begin(1, PROMPT)
    engine.grant(1, 400)
    with pytest.raises((EOFError, ConnectionResetError)):
        engine.end(1)
    assert len(engine.steps()) == 5
    engine.close()
    assert engine.process.returncode == -9


def test_ctypes_is_loaded_once() -> None:
    """The engine's way around llama_cpp's __init__ gives the package's own functions."""
    assert ctypes.sizeof(C.llama_batch) == 56
