"""A program with a bug, on the fake device: it ends, is told of, and disturbs nobody."""

import pytest

from llmsh.abi.program import Event, Image, State, Turn
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from llmsh.programs.prompt import Prompt
from tests.support.machine import Machine


class Broken(Prompt):
    """Fails in its first step, or in its second."""

    def __init__(self, at_once: bool) -> None:
        self._at_once = at_once

    def start(self, image: Image) -> Turn:
        return self.step(super().start(image)[0], None) if self._at_once else super().start(image)  # type: ignore[arg-type]  # it looks at neither

    def step(self, state: State, event: Event) -> Turn:
        raise ZeroDivisionError("no such luck")


@pytest.mark.parametrize("at_once", [True, False])
def test_a_bug_in_a_program_ends_its_process_only(at_once: bool) -> None:
    machine = Machine(Options(answer=30), settings=Settings())
    machine.kernel.programs = {**machine.kernel.programs, "prompt": Broken(at_once)}
    client = machine.client()
    other = client.run("talk", "hello")
    pid = client.run("say", "x")
    machine.go(60)
    ended = client.exited(pid)
    assert ended is not None
    assert ended["status"] == 1
    assert client.err[pid] == b"say: a bug in the program: ZeroDivisionError('no such luck')\n"
    assert any("panic" in line and "ZeroDivisionError" in line for line in machine.lines())
    assert (client.exited(other) or {})["status"] == 0
    machine.sound()
