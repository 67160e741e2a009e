"""The peers' own words: lines of llama-batched-bench, streams and errors of llama-server."""

import os
from pathlib import Path

import pytest

from bench import batched, peer
from bench.place import Place
from bench.row import Skipped


def test_rates_are_of_generated_tokens_with_the_prompts_time() -> None:
    lines = 'llama: noise\n{"pl": 4, "pp": 16, "tg": 48, "t": 2.0, "t_tg": 1.0}\n{"pl": 1, "tg": 48, "t": 1.5}\n'
    assert batched.rates(lines) == {4: 96.0, 1: 32.0}
    assert batched.rates("error: no such model") == {}


def test_a_program_that_is_not_there_skips_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHED_BENCH", str(tmp_path / "none"))
    with pytest.raises(Skipped, match="none: cannot be run"):
        batched.program()
    program = tmp_path / "llama-batched-bench"
    server = tmp_path / "llama-server"
    for path in (program, server):
        path.touch(0o755)
    monkeypatch.delenv("BATCHED_BENCH")
    monkeypatch.setenv("LLAMA_SERVER", str(server))
    assert batched.program() == os.path.realpath(program)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'data: {"content":" a","stop":false}\n', {"content": " a", "stop": False}),
        (b'error: {"message":"full"}\n', {"error": {"message": "full"}}),
        (b'data: {"error":{"message":"full"}}\n', {"error": {"message": "full"}}),
        (b"data: [DONE]\n", {}),
        (b"\n", {}),
        (b": a comment\n", {}),
    ],
)
def test_a_line_of_a_stream(line: bytes, said: dict[str, object]) -> None:
    assert peer.said(line) == said


def test_a_refusal_is_one_line() -> None:
    assert peer.cause(b'{"error":{"code":400,"message":"too long"}}') == "too long"
    assert peer.cause(b"bad gateway\n") == "bad gateway"


def test_the_short_form_is_one_pair_of_the_small_scenario() -> None:
    short, full, more = (Place("", 1, scale) for scale in (0.0, 1.0, 4.0))
    assert [place.count(5) for place in (short, full, more)] == [1, 5, 20]
    assert [place.pick(25, 100) for place in (short, full, more)] == [25, 100, 100]
    assert Place("", 1, 1.0, ("policy=rr", "cores=2")).keys(cells=64) == {"cores": "2", "cells": 64, "policy": "rr"}
