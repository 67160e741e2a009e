"""A prompt that is alone may be computed in long steps; nobody waits for such a step."""

import pytest

from llmsh.abi import signals as sig
from llmsh.drivers.fake import ABORT_S
from llmsh.drivers.fakecore import Options
from tests.support.machine import Machine

OPTIONS = Options(cells=4000, prefill=1.0, lone=1)
"""Steps of a long prompt take 150 ms."""


@pytest.mark.parametrize("into_ms", [60, 110, 170])
def test_a_stop_does_not_wait_for_the_step_of_a_lone_prompt(into_ms: int) -> None:
    machine = Machine(OPTIONS)
    client = machine.client()
    pid = client.run(text="x" * 1000)
    machine.go(into_ms / 1000)
    before = client.row(pid)["tokens_in"]
    call = client.post("kill", pid=pid, sig=sig.STOP)
    machine.go(2 * ABORT_S)
    assert client.answer(call) == {"sent": 1}
    assert client.row(pid)["stat"].startswith("T")
    assert client.row(pid)["tokens_in"] == before, "the step was aborted"
    client.call("kill", pid=pid, sig=sig.CONT)
    machine.clock.run_until(lambda: pid in client.out)
    assert client.row(pid)["tokens_in"] > 1000
    machine.sound()


@pytest.mark.parametrize("into_ms", [60, 110, 170])
def test_who_comes_ends_the_step_of_a_lone_prompt_once(into_ms: int) -> None:
    machine = Machine(OPTIONS)
    client = machine.client()
    first = client.run(text="x" * 1000)
    machine.go(into_ms / 1000)
    host = machine.kernel.hosts["fake"]
    before, steps = client.row(first)["tokens_in"], host.steps
    for aborted in (1, 1):
        client.run(text="y")
        machine.go(OPTIONS.control / 1000 + 2 * ABORT_S)
        assert host.steps == steps + aborted
        assert client.row(first)["tokens_in"] == before
    machine.clock.run_until(lambda: len(client.out) == 3)
    assert client.row(first)["tokens_in"] > 1000
    machine.sound()


def test_neighbours_that_generate_are_not_disturbed() -> None:
    machine = Machine(OPTIONS)
    client = machine.client()
    pids = [client.run(text="x" * 8) for _ in range(2)]
    machine.clock.run_until(lambda: all(client.row(pid)["tokens_out"] > 2 for pid in pids))
    steps = machine.kernel.hosts["fake"].steps
    made = sum(client.row(pid)["tokens_out"] for pid in pids)
    third = client.run(text="z")
    machine.clock.run_until(lambda: third in client.out)
    steps = machine.kernel.hosts["fake"].steps - steps
    assert sum(client.row(pid)["tokens_out"] for pid in pids) - made >= 2 * (steps - 1)
    machine.sound()
