"""Processes on real llama.cpp, through the real socket: what the fake device cannot show."""

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from llmsh.abi import records
from llmsh.abi.signals import CONT, KILL, STOP
from tests.support.daemon import Daemon, Wire

ENDLESS = {"ignore_eos": True, "temperature": 0}


def run(wire: Wire, text: str = "hello", agent: str = "plain", **more: Any) -> int:
    """Start an agent that reads nothing."""
    given: dict[str, Any] = {"agent": agent, "args": [text], "params": {**ENDLESS, "max_tokens": 60}, **more}
    pid: int = wire.call("run", **given)["pid"]
    return pid


def row(wire: Wire, pid: int) -> dict[str, Any]:
    """The process's row of ps."""
    found: dict[str, Any] = wire.call("ps", pids=[pid])["rows"][0]
    return found


def text_of(wire: Wire, pid: int) -> bytes:
    """Everything it wrote, once it has ended well."""
    assert wire.event("exit", pid=pid)["status"] == 0
    return wire.output(pid)


def engine(wire: Wire) -> int:
    """OS pid of the engine."""
    pid: int = wire.call("lsdev")["rows"][0]["pid"]
    return pid


def until(wire: Wire, check: Callable[[], bool]) -> None:
    """Ask again until it is so; every round is a call to the daemon."""
    for _ in range(100_000):
        if check():
            return
        wire.call("null")
    pytest.fail("it never was so")


def sound(wire: Wire) -> None:
    """Nothing is wrong and nothing is held."""
    until(wire, lambda: wire.call("check")["cells"] == 0)
    assert wire.call("check")["faults"] == []


def test_a_document_becomes_an_answer(daemon: Daemon) -> None:
    wire = Wire()
    pid = run(wire)
    assert len(text_of(wire, pid)) > 20
    sound(wire)


def test_rows_have_every_field(daemon: Daemon) -> None:
    wire = Wire()
    pid = run(wire, params={**ENDLESS, "max_tokens": 1000})
    until(wire, lambda: row(wire, pid)["tokens_out"] > 0)
    found = row(wire, pid)
    assert found.keys() == records.PS.keys()
    assert found["rss"] > 0
    assert found["rss_bytes"] == found["rss"] * wire.call("lsdev")["rows"][0]["cell_bytes"]
    assert records.LSDEV.keys() <= wire.call("lsdev")["rows"][0].keys()


def test_stop_keeps_what_was_computed(daemon: Daemon) -> None:
    wire = Wire()
    exact = {**ENDLESS, "max_tokens": 400, "deterministic": True}
    undisturbed = text_of(wire, run(wire, "count", params=exact))
    pid = run(wire, "count", params=exact)
    until(wire, lambda: row(wire, pid)["tokens_out"] > 20)
    wire.call("kill", pid=pid, sig=STOP)
    stopped = row(wire, pid)
    assert stopped["stat"].startswith("T")
    for _ in range(100):
        wire.call("null")
    assert row(wire, pid)["tokens_out"] == stopped["tokens_out"]
    assert stopped["rss"] > 0
    wire.call("kill", pid=pid, sig=CONT)
    assert text_of(wire, pid) == undisturbed
    assert wire.call("lsdev")["rows"][0]["tokens_in"] < 2 * stopped["tokens_in"] + 10


@pytest.mark.parametrize("after", [0, 1, 20, 150])
def test_a_killed_engine_costs_time_only(daemon: Daemon, after: int) -> None:
    wire = Wire()
    exact = {**ENDLESS, "max_tokens": 300, "deterministic": True}
    undisturbed = text_of(wire, run(wire, "tell", params=exact))
    pid = run(wire, "tell", params=exact)
    until(wire, lambda: row(wire, pid)["tokens_out"] >= after)
    os.kill(engine(wire), signal.SIGKILL)
    assert text_of(wire, pid) == undisturbed
    assert row_count(wire, "died") == 1
    sound(wire)


def row_count(wire: Wire, word: str) -> int:
    """Lines of dmesg with this word."""
    return sum(word in line["line"] for line in wire.call("dmesg")["rows"])


def test_many_processes_survive_engines_killed_again_and_again(daemon: Daemon) -> None:
    wire = Wire()
    pids = [run(wire, f"story {number}", params={**ENDLESS, "max_tokens": 120}) for number in range(12)]

    def made(goal: int) -> bool:
        return sum(int(row(wire, pid)["tokens_out"]) for pid in pids) > goal

    for goal in (10, 200, 600):
        until(wire, partial(made, goal))
        os.kill(engine(wire), signal.SIGKILL)
        until(wire, lambda: wire.call("lsdev")["rows"][0]["state"] == "ready")
    for pid in pids:
        text_of(wire, pid)
    sound(wire)


def test_killing_one_never_disturbs_another(daemon: Daemon) -> None:
    wire = Wire()
    exact = {**ENDLESS, "max_tokens": 200, "deterministic": True}
    undisturbed = text_of(wire, run(wire, "alone", params=exact))
    victims = [run(wire, f"victim {number}", params={**ENDLESS, "max_tokens": 1500}) for number in range(4)]
    pid = run(wire, "alone", params=exact)

    def begun(victim: int) -> bool:
        return bool(row(wire, victim)["tokens_out"] > 5)

    for victim in victims:
        until(wire, partial(begun, victim))
        wire.call("kill", pid=victim, sig=KILL)
        assert wire.event("exit", pid=victim)["status"] == 137
    assert text_of(wire, pid) == undisturbed
    sound(wire)


def test_more_contexts_than_cells_take_turns(daemon: Daemon) -> None:
    wire = Wire()
    pids = [run(wire, "word " * 60 + str(number), params={**ENDLESS, "max_tokens": 250}) for number in range(12)]
    for pid in pids:
        text_of(wire, pid)
    sound(wire)


def test_two_processes_have_a_core_each(start: Callable[..., Daemon]) -> None:
    """That cores change no text is the engine's tests': here the second begins with what the first has computed,
    which may change rounding."""
    start("-o", "cores=2")
    wire = Wire()
    params = {**ENDLESS, "max_tokens": 600}
    pids = [run(wire, "count", params=params) for _ in range(2)]
    until(wire, lambda: {row(wire, pid)["core"] for pid in pids} == {0, 1})
    texts = [text_of(wire, pid) for pid in pids]
    assert min(map(len, texts)) >= 600
    sound(wire)


def test_nice_shares_on_llama(start: Callable[..., Daemon]) -> None:
    # A core with four, on two cores each has two of its own; pipes that a slow reader does not fill; and short leases,
    # so that the few tokens of those that are nice are not counted by the dozen.
    start("-o", "cores=1", "-o", "pipe_capacity=1048576", "-o", "quantum=4")
    wire = Wire()
    many = {**ENDLESS, "max_tokens": 1800}
    nices = (0, 0, 10, 10)
    pids = [run(wire, f"n{number}", nice=nice, params=many) for number, nice in enumerate(nices)]

    def made_at(count: int) -> list[int]:
        until(wire, lambda: row(wire, pids[0])["tokens_out"] >= count)
        return [row(wire, pid)["tokens_out"] for pid in pids]

    # Not from the start: they come one after the other, and sink through the levels. Nor to the end: who is nearly done
    # comes first.
    before = made_at(300)
    made = [after - early for after, early in zip(made_at(1000), before, strict=True)]
    ratio = (made[0] + made[1]) / (made[2] + made[3])
    assert 9.3 * 0.8 <= ratio <= 9.3 * 1.2, (before, made)
