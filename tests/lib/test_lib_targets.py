"""Whom a number on the command line means. Signals to the machine's own are caught here, not sent."""

import os

import pytest

from llmsh.abi.errors import Error
from llmsh.lib import targets
from llmsh.lib.options import Usage


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What would have gone to processes of the machine."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, sig: calls.append((pid, sig)))
    monkeypatch.setattr(os, "killpg", lambda pid, sig: calls.append((-pid, sig)))
    return calls


def test_pids_of_the_machine_are_the_machine_s(sent: list[tuple[int, int]]) -> None:
    for number in (42, -42, 0):
        targets.Machine().kill(number, 15)
    assert sent == [(42, 15), (-42, 15), (0, 15)]


def test_init_is_never_signalled(sent: list[tuple[int, int]]) -> None:
    with pytest.raises(Error, match="1: init takes no signal") as caught:
        targets.Machine().kill(1, 9)
    assert (caught.value.code, sent) == ("EPERM", [])


def test_minus_one_is_every_agent_and_never_every_process(sent: list[tuple[int, int]], xdg: object) -> None:
    with pytest.raises(Error, match="-1: no such process"):
        targets.Machine().kill(-1, 15)
    assert sent == []


@pytest.mark.parametrize("word", ["", "-", "x", "1x", "--1", "9" * 20, "²"])
def test_what_is_no_pid_is_refused(word: str) -> None:
    with pytest.raises(Usage):
        targets.pid(word)
