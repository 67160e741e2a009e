"""The interactive shell on a real terminal: jobs, Ctrl-C, Ctrl-Z, history, completion."""

import os
import select
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.support.terminal import Terminal

READY = "sh -c 'echo rea''dy; exec sleep 1000'"
"""A job that says when it runs."""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path) as terminal:
        yield terminal


def ends(pid: int) -> bool:
    """Wait until a process has ended; False after a minute."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 60)[0])
    finally:
        os.close(fd)


def test_interrupt_ends_the_job_and_the_line_but_not_the_shell(shell: Terminal) -> None:
    shell.type(f"{READY}; echo no''t")
    shell.see("ready")
    shell.pty.sendintr()
    shell.prompt(130)
    assert "not" not in shell.pty.before
    assert shell.run("echo alive") == "alive"


def test_interrupt_at_the_prompt_drops_the_line(shell: Terminal) -> None:
    shell.pty.send("echo dropped")
    shell.see("dropped")
    shell.pty.sendintr()
    shell.prompt(130)
    assert shell.run("echo next") == "next"


def test_stop_continue_in_both_grounds_and_kill(shell: Terminal) -> None:
    shell.type(READY)
    shell.see("ready")
    shell.pty.send("\x1a")
    shell.see("[1]+  Stopped")
    shell.prompt(148)
    assert shell.run("jobs").startswith("[1]+  Stopped")
    assert shell.run("bg") == "[1]+  Running                 sh -c 'echo rea''dy; exec sleep 1000' &"
    assert "Running" in shell.run("jobs")
    shell.type("fg")
    shell.see("sleep 1000'\r\n")
    shell.pty.send("\x1a")
    shell.see("[1]+  Stopped")
    shell.prompt(148)
    shell.run("kill %1")
    shell.until(":", lambda _: "Terminated" in shell.pty.before or not shell.run("jobs"))
    assert shell.run("jobs") == ""


def test_a_whole_pipeline_stops_and_ends_together(shell: Terminal) -> None:
    shell.type("sh -c 'echo rea''dy >&2; exec sleep 1000' | cat | cat")
    shell.see("ready")
    shell.pty.send("\x1a")
    shell.see("Stopped")
    shell.prompt(148)
    pid = int(shell.run("jobs -p"))
    assert os.getpgid(pid) == pid
    shell.type("fg")
    shell.see("| cat | cat\r\n")
    shell.pty.sendintr()
    shell.prompt(130)
    assert ends(pid)


def test_the_end_of_a_background_job_is_told(shell: Terminal, tmp_path: Path) -> None:
    shell.run("mkfifo pipe")
    shell.type("cat pipe >/dev/null &")
    shell.see("[1] ")
    shell.prompt()
    pid = int(shell.run("echo $!"))
    (tmp_path / "pipe").write_text("x")
    assert ends(pid)
    shell.type("")
    shell.see("[1]+  Done                    cat pipe")
    shell.prompt()


def test_a_background_read_of_the_terminal_stops(shell: Terminal) -> None:
    shell.type("cat &")
    shell.see("[1] ")
    shell.prompt()
    shell.until("jobs", lambda shown: "Stopped" in shown)
    shell.type("fg")
    shell.see("cat\r\n")
    shell.type("typed")
    shell.see("typed\r\ntyped")
    shell.pty.sendeof()
    shell.prompt(0)


def test_wait_for_jobs_and_their_statuses(shell: Terminal) -> None:
    assert shell.run("sh -c 'exit 7' & wait %1; echo $?").endswith("7")
    assert shell.run("sh -c 'exit 3' & wait $!; echo $?").endswith("3")
    assert shell.run("wait 1; echo $?").endswith("127")


def test_leaving_with_stopped_jobs_is_refused_once(shell: Terminal) -> None:
    shell.type(READY)
    shell.see("ready")
    shell.pty.send("\x1a")
    shell.prompt(148)
    pid = int(shell.run("jobs -p"))
    shell.type("exit")
    shell.see("exit: there are stopped jobs")
    shell.prompt(1)
    shell.type("exit 5")
    shell.pty.expect(pexpect.EOF)
    shell.pty.close()
    assert shell.pty.exitstatus == 5
    assert ends(pid)


def test_a_job_that_was_killed_since_the_prompt_holds_nobody_back(shell: Terminal) -> None:
    shell.type(READY)
    shell.see("ready")
    shell.pty.send("\x1a")
    shell.prompt(148)
    pid = int(shell.run("jobs -p"))
    # The shell sits at its prompt: what it knows of the job is from before.
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    shell.type("exit 6")
    shell.pty.expect(pexpect.EOF)
    assert "stopped jobs" not in shell.pty.before
    shell.pty.close()
    assert shell.pty.exitstatus == 6


def test_a_hang_up_reaches_every_job(shell: Terminal) -> None:
    shell.type(f"{READY} &")
    shell.see("ready")
    pid = int(shell.run("echo $!"))
    shell.pty.close(force=False)
    assert ends(pid)


def test_modes_are_restored_after_a_job_that_died(shell: Terminal) -> None:
    shell.type("sh -c 'stty -echo -icanon; kill -9 $$'")
    shell.see("Killed")
    shell.prompt(137)
    shown = shell.run("stty -a")
    assert " echo " in shown
    assert " icanon " in shown


def test_lines_continue_at_the_second_prompt(shell: Terminal) -> None:
    shell.type("echo 'one")
    shell.see("\n>")
    shell.type("two'")
    shell.see("one\r\ntwo")
    shell.prompt(0)
    shell.type("cat <<E")
    shell.see("\n>")
    shell.type("in''side")
    shell.see("\n>")
    shell.type("E")
    shell.see("in''side\r\n")
    shell.prompt(0)


def test_errors_leave_the_shell_alive(shell: Terminal) -> None:
    for line, status in ((";", 2), ("nosuch_x", 127), ("${x?}", 2), ("export 1=2", 1), (". ./nosuch", 127)):
        shell.type(line)
        shell.prompt(status)
    assert shell.run("echo alive") == "alive"


def test_history_is_private_and_keeps_lines(shell: Terminal, tmp_path: Path) -> None:
    shell.type("echo remembered")
    shell.see("\r\nremembered")
    shell.prompt(0)
    shell.type(" echo secret")
    shell.see("\r\nsecret")
    shell.prompt(0)
    file = tmp_path / "state" / "llmsh" / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text(encoding="utf-8")
    assert "echo remembered\n" in text
    assert "secret" not in text
    with Terminal(tmp_path) as second:
        second.pty.send("\x1b[A")
        second.see("echo remembered")


def test_completion_of_commands_files_and_variables(shell: Terminal, tmp_path: Path) -> None:
    (tmp_path / "some file.txt").write_text("inside\n", encoding="utf-8")
    shell.pty.send("readon\t")
    shell.see("readonly ")
    shell.pty.sendintr()
    shell.prompt(130)
    shell.pty.send("cat some\t")
    shell.see("file.txt")
    shell.type("")
    shell.see("\r\ninside")
    shell.prompt(0)
    shell.run("unlikely_name=found")
    shell.pty.send("echo $unlikely\t")
    shell.see("_name")
    shell.type("")
    shell.see("\r\nfound")


def test_control_characters_in_names_are_made_visible(shell: Terminal) -> None:
    shell.type("printf '%s' \"$(printf 'no\\033]0;x\\007such')\"; \"$(printf 'a\\033]0;x\\007b')\"")
    shell.see("a^[]0;x^Gb: not found")
    shell.prompt(127)
