"""kill: by name, number and group, agents and the machine's own processes, and what it lists."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.endless import WITHOUT_END, Endless


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("argv", "died"),
    [
        (("{}",), signal.SIGTERM),
        (("-9", "{}"), signal.SIGKILL),
        (("-INT", "{}"), signal.SIGINT),
        (("-SIGHUP", "-{}"), signal.SIGHUP),
        (("-s", "quit", "--", "-{}"), signal.SIGQUIT),
        (("--signal=USR1", "{}"), signal.SIGUSR1),
        (("--", "-{}"), signal.SIGTERM),
    ],
)
def test_a_signal_by_name_number_and_to_a_group(argv: tuple[str, ...], died: int) -> None:
    with Endless() as agent:
        done = llmsh("kill", *(word.format(agent.pid) for word in argv))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert agent.drained() == -died


@pytest.mark.usefixtures("shared")
def test_stop_has_stopped_it_when_it_answers_and_cont_lets_it_go_on() -> None:
    pid = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    for _ in range(2):  # one that is stopped can be stopped
        assert llmsh("kill", "-STOP", pid).returncode == 0
        assert llmsh("ps", "-o", "s=", pid).stdout == "T\n"
    assert llmsh("kill", "-CONT", pid).returncode == 0
    assert llmsh("ps", "-o", "s=", pid).stdout == "R\n"
    assert llmsh("kill", "-STOP", pid).returncode == 0
    assert llmsh("kill", "-KILL", pid).returncode == 0
    assert llmsh("wait", pid).returncode == 137


@pytest.mark.usefixtures("shared")
def test_who_is_not_there_is_said_and_the_others_are_signalled() -> None:
    unknown = llmsh("kill", "-0", "4999999")
    assert (unknown.returncode, unknown.stderr) == (1, "kill: 4999999: no such process\n")
    group = llmsh("kill", "-TERM", "-4999999")
    assert (group.returncode, group.stderr) == (1, "kill: -4999999: no such process group\n")
    with Endless() as agent:
        assert llmsh("kill", "-0", str(agent.pid)).returncode == 0
        done = llmsh("kill", "-KILL", "4999999", str(agent.pid), "4999998")
        assert (done.returncode, done.stderr.count("\n")) == (1, 2)
        assert agent.drained() == -signal.SIGKILL
    ended = llmsh("kill", str(agent.pid))
    assert (ended.returncode, ended.stderr) == (1, f"kill: {agent.pid}: no such process\n")


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        ((), "which process?"),
        (("-KILL",), "which process?"),
        (("-NONSENSE", "4999999"), "NONSENSE: no such signal"),
        (("-s", "99", "4999999"), "99: no such signal"),
        (("-9999", "4999999"), "9999: no such signal"),
        (("-s",), "-s: needs a value"),
        (("me",), "'me' is not a pid"),
        (("4999999x",), "'4999999x' is not a pid"),
        (("%1",), "'%1' is not a pid"),
        (("-9", ""), "'' is not a pid"),
        (("-l", "x"), "x: no such signal"),
        (("-l", "300"), "300: no such signal"),
        (("-l", "128"), "128: no such signal"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_signals_nobody(xdg: Path, argv: tuple[str, ...], cause: str) -> None:
    assert cause in refused("kill", *argv)


def test_on_an_empty_machine_nobody_is_there(xdg: Path) -> None:
    for pid in ("4194400", "-4194400", "-1"):  # the null signal, whoever -1 might reach
        done = llmsh("kill", "-s", "0", "--", pid)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"{pid}: no such process" in done.stderr
    assert list((xdg / "runtime").iterdir()) == []


def test_it_reaches_programs_of_the_machine(xdg: Path) -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
    assert llmsh("kill", "-STOP", str(child)).returncode == 0
    assert os.WSTOPSIG(os.waitpid(child, os.WUNTRACED)[1]) == signal.SIGSTOP
    assert llmsh("kill", "-HUP", str(child)).returncode == 0
    assert llmsh("kill", "-CONT", str(child)).returncode == 0
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGHUP
    gone = llmsh("kill", str(child))
    assert (gone.returncode, gone.stderr) == (1, f"kill: {child}: no such process\n")


def test_it_lists_signals(xdg: Path) -> None:
    names = llmsh("kill", "-l").stdout.split()
    assert {"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "PIPE", "TERM", "CONT", "STOP", "TSTP"} <= set(names)
    numbers = [int(word) for word in llmsh("kill", "-l", *names).stdout.split()]
    assert numbers == [signal.Signals[f"SIG{name}"] for name in names]
    assert llmsh("kill", "-l", "9", "143", "INT", "SIGTERM", "hup").stdout.split() == ["KILL", "TERM", "2", "15", "1"]
    assert " 9 KILL" in llmsh("kill", "-L").stdout
    assert into_full("kill", "-l") == (1, f"kill: {NO_SPACE}")
