"""An abort that came too late for its step hits the next one, as long as somebody wants it."""

import pytest

from llmsh.abi.lease import Step
from llmsh.drivers.fake import FakeDevice
from llmsh.drivers.fakeclock import FakeClock
from llmsh.drivers.fakecore import Options
from llmsh.kernel.aborts import Aborts
from tests.support.machine import Machine


class Noted(FakeDevice):
    """Keeps which steps it was told to abort."""

    def __init__(self) -> None:
        super().__init__("fake", FakeClock())
        self.told: list[tuple[int, int]] = []

    def abort(self, core: int, step: int) -> None:
        self.told.append((core, step))
        super().abort(core, step)


def made(no: int, core: int = 0) -> Step:
    return Step(core, no, 1.0, [], [(1, 5)], 5)


def undone(no: int, core: int = 0) -> Step:
    return Step(core, no, 1.0, [], [], 5)


def test_a_step_that_was_aborted_is_the_end_of_it() -> None:
    device = Noted()
    aborts = Aborts(device)
    aborts.ask(0, 7, lambda: True)
    aborts.ended(undone(7))
    aborts.ended(made(8))
    assert device.told == [(0, 7)]


def test_one_that_ended_by_itself_is_followed_while_that_is_wanted() -> None:
    device, wanted = Noted(), [True, True, False]
    aborts = Aborts(device)
    aborts.ask(0, 7, wanted.pop)
    wanted.reverse()
    for no in range(6, 12):
        aborts.ended(made(no))
    assert device.told == [(0, 7), (0, 8), (0, 9)]


def test_cores_and_engines_have_their_own() -> None:
    device = Noted()
    aborts = Aborts(device)
    aborts.ask(1, 3, lambda: True)
    aborts.ended(made(3, core=0))
    aborts.void()
    aborts.ended(made(3, core=1))
    assert device.told == [(1, 3)]


@pytest.mark.parametrize("lone", [True, False])
def test_who_comes_ends_a_step_only_where_one_may_be_long(lone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an aborted step has computed is lost."""
    machine = Machine(Options(cells=4096, context=4096, prefill=10, lone=int(lone)))
    client = machine.client()
    first = client.run("ask", "x" * 400, params={"max_tokens": 3})
    machine.clock.run_until(lambda: client.row(first)["tokens_in"] > 0)
    told: list[int] = []
    monkeypatch.setattr(machine.device, "abort", lambda core, step: told.append(step))
    second = client.run("ask", "y" * 40, params={"max_tokens": 3})
    machine.clock.run_until(lambda: client.exited(first) is not None and client.exited(second) is not None)
    assert bool(told) == lone
