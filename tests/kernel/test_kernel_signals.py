"""Signals, for a process in each of the places where one may find it."""

import functools

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.limits import STEP_MAX_MS
from tests.support.situations import PLACES, Scene

STEP_S = STEP_MAX_MS / 1000 + 0.001
ENDS = (sig.HUP, sig.INT, sig.QUIT, sig.KILL, sig.USR1, sig.PIPE, sig.ALRM, sig.TERM)
STOPS = (sig.STOP, sig.TSTP, sig.TTIN, sig.TTOU)

pytestmark = pytest.mark.parametrize("place", PLACES)


@functools.cache
def computed(place: str) -> int:
    """Input tokens that an undisturbed run computes."""
    scene = Scene(place)
    scene.let_go()
    scene.finish()
    return int(scene.row()["tokens_in"])


@pytest.mark.parametrize("number", ENDS, ids=sig.name)
def test_it_ends_within_a_step_and_everything_of_it_is_free(place: str, number: int) -> None:
    scene = Scene(place)
    call = scene.kill(number)
    # TERM lets the step under way end first, and is done at the one after.
    scene.machine.go(STEP_S * (2 if number == sig.TERM else 1))
    assert scene.client.answer(call) == {"sent": 1}
    if place == "pipe":
        assert scene.client.exited(scene.pid) is None  # its last bytes are still on their way
        scene.let_go()
    assert (scene.row()["stat"], scene.row()["rss"], scene.row()["swap"]) == ("Z", 0, 0)
    assert scene.cells() == 0
    assert scene.machine.kernel.statuses.get(scene.pid) == {
        "pid": scene.pid, "status": 128 + number, "signal": number, "reason": "",
    }  # fmt: skip
    end = scene.finish()
    assert end.statuses == (128 + number,)
    assert scene.whole().out.startswith(end.out)


@pytest.mark.parametrize("number", STOPS, ids=sig.name)
def test_stopped_within_a_step_it_goes_on_where_it_was_and_computes_nothing_again(place: str, number: int) -> None:
    scene = Scene(place)
    call = scene.kill(number)
    scene.machine.go(STEP_S)
    assert scene.client.answer(call) == {"sent": 1}
    assert scene.row()["stat"] == "T"
    assert scene.client.events[-1] == {"ev": "stat", "pid": scene.pid, "stat": "T"}
    stream = scene.process.stream
    assert stream is None or not stream.leased
    before = scene.row()
    scene.machine.go(30)
    after = scene.row()
    assert {key: after[key] for key in ("stat", "tokens_in", "tokens_out", "ctx")} == {
        key: before[key] for key in ("stat", "tokens_in", "tokens_out", "ctx")
    }
    assert after["rss"] + after["swap"] == before["rss"] + before["swap"]
    scene.kill(sig.CONT)
    assert scene.row()["stat"] != "T"
    assert {"ev": "stat", "pid": scene.pid, "stat": "R"} in scene.client.events
    scene.let_go()
    assert scene.finish() == scene.whole()
    assert scene.row()["tokens_in"] == computed(place)


@pytest.mark.parametrize("number", [sig.HUP, sig.INT, sig.PIPE, sig.TERM], ids=sig.name)
def test_a_stopped_process_hears_of_it_when_it_continues(place: str, number: int) -> None:
    scene = Scene(place)
    scene.kill(sig.STOP)
    scene.machine.go(STEP_S)
    assert scene.client.answer(scene.kill(number)) == {"sent": 1}
    scene.machine.go(10)
    assert scene.row()["stat"] == "T"
    scene.kill(sig.CONT)
    scene.machine.go(STEP_S)
    scene.let_go()
    assert scene.finish().statuses == (128 + number,)


def test_a_stopped_process_can_be_killed(place: str) -> None:
    scene = Scene(place)
    scene.kill(sig.STOP)
    scene.machine.go(STEP_S)
    scene.kill(sig.KILL)
    scene.let_go()
    assert scene.finish().statuses == (137,)


def test_killed_before_its_stop_has_taken_effect(place: str) -> None:
    scene = Scene(place)
    stop, kill = scene.kill(sig.STOP), scene.kill(sig.KILL)
    assert (scene.client.answer(stop), scene.client.answer(kill)) == ({"sent": 1}, {"sent": 1})
    scene.machine.go(STEP_S)
    scene.let_go()
    assert scene.finish().statuses == (137,)
    stats = [event["stat"] for event in scene.client.events if event["ev"] == "stat"]
    assert stats in ([], ["T"])


@pytest.mark.parametrize("number", [0, sig.CHLD, sig.CONT], ids=str)
def test_what_it_does_not_notice(place: str, number: int) -> None:
    scene = Scene(place)
    assert scene.client.answer(scene.kill(number)) == {"sent": 1}
    scene.let_go()
    assert scene.finish() == scene.whole()
    assert scene.row()["tokens_in"] == computed(place)


@pytest.mark.parametrize("rounds", [1, 7])
def test_stopped_and_continued_without_a_pause(place: str, rounds: int) -> None:
    scene = Scene(place)
    calls = [scene.kill(number) for _ in range(rounds) for number in (sig.STOP, sig.CONT)]
    scene.machine.go(STEP_S)
    assert [scene.client.answer(call) for call in calls] == [{"sent": 1}] * (2 * rounds)
    assert scene.row()["stat"] != "T"
    scene.let_go()
    assert scene.finish() == scene.whole()
    assert scene.row()["tokens_in"] == computed(place)


def test_stopped_twice_both_hear_when_it_is_quiet(place: str) -> None:
    scene = Scene(place)
    first, second = scene.kill(sig.STOP), scene.kill(sig.STOP)
    assert (first in scene.client.replies) == (second in scene.client.replies)
    scene.machine.go(STEP_S)
    assert scene.client.answer(first) == scene.client.answer(second) == {"sent": 1}
    scene.kill(sig.KILL)
    scene.let_go()
    scene.finish()
