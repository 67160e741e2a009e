"""The kind `classify`: one of the unit's labels, for the input or for each line of it."""

import json
from typing import Any

import pytest

from llmsh.abi.program import Context, Event, Exit, Generated, Input, Placed, Refused, Score, Scored
from llmsh.abi.unit import Unit
from llmsh.programs.classify import Classify, Placing, Scoring
from tests.support.programrun import CONTEXT, LABELS, Run, image, step, user

CLASSIFY = Classify()
LINES = {"lines": True}


def unit(**more: Any) -> Unit:
    return Unit(name="it", kind="classify", description="", labels=LABELS, **more)


def by_words(text: str) -> list[float]:
    """Scores by how often the labels occur, as logarithms would lie."""
    return [float(text.count("good")), float(text.count("bad"))]


def test_the_label_with_the_best_score_comes_out() -> None:
    run = Run(image("classify"), b" so good\n", score=by_words)
    assert (run.out, run.err, run.status) == (b"good\n", b"", 0)
    assert run.asked == [Context(user("so good"))]
    assert Score(["good", "bad"]) in run.effects


def test_scores_are_probabilities_of_all_labels_the_best_first() -> None:
    run = Run(image("classify", "bad bad good", scores=True), score=by_words)
    assert run.out == b"bad\t0.731059\tgood\t0.268941\n"


def test_json_is_one_record_a_line() -> None:
    run = Run(image("classify", output_json=True, options=LINES), b"good\nbad\n", score=by_words)
    records = [json.loads(line) for line in run.out.splitlines()]
    assert [record["label"] for record in records] == ["good", "bad"]
    assert sum(records[0]["scores"].values()) == pytest.approx(1)


def test_with_lines_every_line_has_its_line() -> None:
    run = Run(image("classify", options=LINES), b"good\n\nbad\r\n \ngood", score=by_words)
    assert (run.out, run.status) == (b"good\n\nbad\n\ngood\n", 0)


def test_with_lines_no_line_is_no_error() -> None:
    assert Run(image("classify", options=LINES), b"").status == 0


@pytest.mark.parametrize("data", [b"", b" \r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("long", ["refuse", "parts"])
def test_no_text_is_no_input(data: bytes, long: str) -> None:
    run = Run(image("classify", unit=unit(long=long)), data)
    assert (run.out, run.status, run.note) == (b"", 1, "no input")


def test_what_the_model_thinks_of_nothing_is_taken_off() -> None:
    def biased(text: str) -> list[float]:
        return [float(text.count("good")) + 3, float(text.count("bad"))]

    plain = Run(image("classify", options=LINES), b"bad\ngood\n", score=biased)
    level = Run(image("classify", unit=unit(neutral="N/A"), options=LINES), b"bad\ngood\n", score=biased)
    assert plain.out == b"good\ngood\n"
    assert level.out == b"bad\ngood\n"
    assert level.texts == ["N/A", "bad", "good"]


def test_the_callers_raw_text_has_no_neutral_one() -> None:
    assert Run(image("classify", "x", unit=unit(neutral="N/A"), raw=True)).texts == ["x"]


def test_a_neutral_input_that_does_not_fit_is_refused() -> None:
    for data in (b"", b"line\n"):
        run = Run(image("classify", unit=unit(neutral="x" * 4 * CONTEXT), options=LINES), data)
        assert (run.status, run.out) == (1, b"")
        assert "context of" in run.note


def test_a_plain_unit_asks_for_labels_behind_a_space() -> None:
    run = Run(image("classify", "x", unit=unit(raw=True, prompt="{input}:")), score=by_words)
    assert run.asked[0] == Context(user("x:"), raw=True)
    assert Score([" good", " bad"]) in run.effects


# Parts.


def test_parts_count_by_their_length() -> None:
    text = b"good words. " * 150 + b"bad wordss. " * 50
    run = Run(image("classify", unit=unit(long="parts", part=100), scores=True), text, score=by_words)
    assert len(run.texts) > 4
    label, chance, *_ = run.out.decode().split("\t")
    assert label == "good"
    assert float(chance) == pytest.approx(0.75, abs=0.1)
    assert run.out.count(b"\n") == 1


def test_an_input_of_any_length_takes_bounded_room() -> None:
    def size(pieces: int) -> int:
        given = image("classify", unit=unit(long="parts", part=100))
        run = Run(given, iter([b"good words " * 300] * pieces), score=by_words)
        assert (run.out, run.status) == (b"good\n", 0)
        return run.most

    assert size(60) < size(20) + 500


def test_white_space_is_no_part() -> None:
    run = Run(image("classify", unit=unit(long="parts", part=100)), b"\n" * 9000 + b"good", score=by_words)
    assert (run.out, run.texts) == (b"good\n", ["good"])


def test_a_part_that_does_not_fit_is_cut_again() -> None:
    wide = unit(long="parts", part=400, prompt="x" * 3200 + "{input}")
    run = Run(image("classify", unit=wide), b"good " * 1000, score=by_words)
    assert (run.out, run.status) == (b"good\n", 0)


def test_a_part_that_never_fits_is_refused() -> None:
    run = Run(image("classify", unit=unit(long="parts", prompt="x" * 4000 + "{input}")), b"good " * 1000)
    assert (run.out, run.status) == (b"", 1)


def test_an_input_that_must_be_one_part_is_refused_early() -> None:
    run = Run(image("classify"), iter([b"word " * 800] * 10_000))
    assert (run.out, run.status) == (b"", 1)
    assert run.note.endswith(f"the context holds {CONTEXT}")
    assert run.read < 20 * CONTEXT


# Lines that cannot be done.


def test_a_line_that_does_not_fit_comes_out_empty() -> None:
    data = b"good\n" + b"x" * 4 * CONTEXT + b"\nbad\n"
    run = Run(image("classify", options=LINES), data, score=by_words)
    assert (run.out, run.status) == (b"good\n\nbad\n", 1)
    assert run.err == f"it: line 2: input of {CONTEXT} tokens, context of {CONTEXT}\n".encode()


def crowded(text: str) -> list[float] | Event:
    return Refused("E2BIG", "labels of 4 tokens, room for 3") if len(text) > 100 else by_words(text)


def test_a_line_whose_labels_do_not_fit_comes_out_empty() -> None:
    run = Run(image("classify", options=LINES), b"good\n" + b"x" * 101 + b"\nbad\n", score=crowded)
    assert (run.out, run.status) == (b"good\n\nbad\n", 1)
    assert run.err == b"it: line 2: labels of 4 tokens, room for 3\n"


def test_a_part_whose_labels_do_not_fit_is_cut_again() -> None:
    long = unit(long="parts", part=400)

    def crowded(text: str) -> list[float] | Event:
        return Refused("E2BIG", "labels") if len(text) > 300 else by_words(text)

    run = Run(image("classify", unit=long), b"good " * 100, score=crowded)
    assert (run.out, run.status) == (b"good\n", 0)
    assert len(run.texts[0]) > 300 >= len(run.texts[-1])


def test_labels_that_do_not_fit_one_input_are_refused() -> None:
    run = Run(image("classify", "x" * 101), score=crowded)
    assert (run.out, run.status, run.note) == (b"", 1, "labels of 4 tokens, room for 3")


def test_bytes_that_are_no_text_are_noted_once() -> None:
    run = Run(image("classify", options=LINES), b"\xffgood\n\0bad\n", score=by_words)
    assert run.out == b"good\nbad\n"
    assert run.err == b"it: input is not all UTF-8 text: what is not is read as U+FFFD\n"


@pytest.mark.parametrize(("code", "status"), [("EIO", 1), ("EINVAL", 126)])
def test_what_is_refused_otherwise_ends_it(code: str, status: int) -> None:
    reading = CLASSIFY.start(image("classify", options=LINES))[0]
    placing = step(CLASSIFY, reading, Input(b"a\n", eof=False))[0]
    assert isinstance(placing, Placing)
    scoring = step(CLASSIFY, placing, Placed(1, 1))[0]
    assert isinstance(scoring, Scoring)
    for state in (reading, placing, scoring):
        assert step(CLASSIFY, state, Refused(code, "because"))[1] == [Exit(status, "because")]


def test_events_that_cannot_come_are_bugs() -> None:
    reading = CLASSIFY.start(image("classify"))[0]
    with pytest.raises(TypeError):
        CLASSIFY.step(reading, Scored([0.0, 0.0]))
    placing = CLASSIFY.start(image("classify", "x"))[0]
    with pytest.raises(TypeError, match="Placing: unexpected Generated"):
        CLASSIFY.step(placing, Generated("eos", b"", 0))
