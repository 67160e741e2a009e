"""Agents in the shell: pipelines, redirections, jobs and signals, over a daemon with the fake model."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmsh.abi.limits import PID_FIRST
from llmsh.lib import calls
from llmsh.lib.conn import dial
from llmsh.sh.agent import segments
from llmsh.sh.parser import parse
from tests.support.daemon import Daemon, environment
from tests.support.terminal import Terminal

UNITS = {
    "each": 'kind = "filter"\ndescription = "a line in, a line out"\n',
    "endless": 'kind = "prompt"\ndescription = "goes on"\n[sampling]\nignore_eos = true\n',
}


@pytest.fixture
def units(xdg: Path) -> Path:
    """Two agents of this test's own; the folder that everything is in."""
    folder = xdg / "config" / "llmsh" / "agents.d"
    folder.mkdir(parents=True)
    for name, text in UNITS.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
        (folder / f"{name}.toml").chmod(0o600)
    return xdg


@pytest.fixture
def home(units: Path) -> Iterator[Path]:
    """The same, and a daemon that serves it."""
    daemon = Daemon()
    yield units
    daemon.stop()


@pytest.fixture
def shell(home: Path) -> Iterator[Terminal]:
    with Terminal(
        home,
        XDG_CONFIG_HOME=os.environ["XDG_CONFIG_HOME"],
        XDG_STATE_HOME=os.environ["XDG_STATE_HOME"],
        XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"],
    ) as terminal:
        terminal.run("mkfifo pipe")
        yield terminal


def run(home: Path, text: str, stdin: bytes = b"") -> tuple[str, int]:
    """What a script writes, and its status."""
    done = subprocess.run(
        [sys.executable, "-m", "llmsh.sh", "-c", text],
        cwd=home,
        env=environment(),
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.stdout.decode(), done.returncode


def test_agents_and_programs_in_a_pipeline(home: Path) -> None:
    assert run(home, "printf 'one\\ntwo\\n' | each | cat | each | wc -l; echo $?") == ("2\n0\n", 0)
    (home / "in").write_text("a\nb\nc\n", encoding="utf-8")
    out, _ = run(home, "each <in >out; wc -l <out; each <<E\nx\nE\n")
    assert out.split("\n")[0] == "3"
    assert len(out.strip().split("\n")) == 2


def test_an_agent_reads_the_shells_input_only_when_it_wants(home: Path) -> None:
    out, _ = run(home, "ask question >/dev/null; cat", b"left\n")
    assert out == "left\n"


def test_statuses_of_agents(home: Path) -> None:
    script = (
        "endless --max-tokens 3 hi >out; echo $?; command ask; echo $?; agent nosuch; echo $?; ask --nosuch; echo $?"
    )
    assert run(home, script)[0].split() == ["0", "127", "127", "2"]
    assert run(home, "endless --timeout 0.1 hi >/dev/null; echo $?")[0] == "124\n"


def test_a_reader_that_goes_away_ends_the_agent(home: Path) -> None:
    out, status = run(home, "yes word | each | head -2 | wc -l")
    assert (out, status) == ("2\n", 0)


def test_the_last_background_pid_is_the_agents(home: Path) -> None:
    script = (
        "mkfifo p; each <>p >out & echo $!; kill -STOP $!; ps -o stat= $!; kill -CONT $!; kill $!; wait $!; echo $?"
    )
    pid, state, status = run(home, script)[0].split()
    assert int(pid) >= PID_FIRST
    assert state.startswith("T")
    assert status == "143"
    script = "mkfifo q; nice -n 10 each <>q >out & echo $!; ps -o nice= $!; kill -KILL %1; wait; wait $!; echo $?"
    pid, nice, status = run(home, script)[0].split()
    assert int(pid) >= PID_FIRST
    assert nice == "10"
    assert status == "137"


def test_adjacent_agents_share_a_child(units: Path) -> None:
    def sizes(text: str) -> list[int]:
        ((item,),) = parse(text)
        return [len(segment) for segment in segments(item.command.first.commands)]

    assert sizes("ls | each | each a | cat | each") == [1, 2, 1, 1]
    assert sizes("each <f | each | each >g") == [3]
    assert sizes("each >f | each") == [1, 1]
    assert sizes("each | each <f") == [1, 1]
    assert sizes("each 2>f | each") == [1, 1]
    assert sizes("agent each | command each | each") == [1, 1, 1]
    assert sizes("agent each | each | $x | each") == [2, 1, 1]
    assert sizes("x=1 each | each") == [1, 1]


def agents(wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Ask the kernel until its agents are as wanted."""
    conn = dial()
    try:
        for _ in range(1_000_000):  # the limit of a test ends it sooner
            rows = [row for row in calls.ps(conn) if row["pid"] >= PID_FIRST]
            if wanted(rows):
                return rows
    finally:
        conn.close()
    raise AssertionError(f"never as wanted; at last {rows}")


def one_is(state: str) -> list[dict[str, Any]]:
    """Wait until there is one agent, and it is in this state."""
    return agents(lambda rows: len(rows) == 1 and rows[0]["stat"].startswith(state))


def test_stop_and_continue_an_agent_on_the_terminal(shell: Terminal) -> None:
    shell.type("each")
    one_is("S+")
    shell.pty.send("\x1a")
    shell.see("[1]+  Stopped                 each")
    shell.prompt(148)
    one_is("T")
    shell.type("fg")
    shell.see("each\r\n")
    one_is("S")
    shell.type("hello")
    shell.pty.expect(r"hello\r\n[a-z]")
    one_is("S")
    shell.pty.sendeof()
    shell.prompt(0)
    agents(lambda rows: not rows)


def test_interrupt_ends_an_agent_and_the_line(shell: Terminal) -> None:
    shell.type("each | each; echo no''t")
    agents(lambda rows: len(rows) == 2 and len({row["pgid"] for row in rows}) == 1)
    shell.pty.sendintr()
    shell.prompt(130)
    assert "not" not in shell.pty.before.replace("no''t", "")
    agents(lambda rows: not rows)


def test_jobs_of_agents_are_stopped_and_killed_by_name(shell: Terminal) -> None:
    shell.type("each <>pipe >out &")
    shell.see("[1] ")
    shell.prompt(0)
    pid = shell.run("echo $!")
    assert int(pid) >= PID_FIRST
    assert shell.run("kill -STOP %1") == ""
    one_is("T")
    shell.until("jobs", lambda shown: "Stopped" in shown)
    shell.run("bg %1")
    one_is("S")
    assert shell.run("jobs -l").startswith(f"[1]+  {pid} Running")
    shell.run("kill -KILL %1")
    shell.until("jobs", lambda shown: shown == "")
    agents(lambda rows: not rows)
    assert shell.run(f"wait {pid}; echo $?") == "137"


def test_a_stop_from_elsewhere_stops_the_job_in_the_foreground(shell: Terminal) -> None:
    shell.type("each")
    (row,) = one_is("S")
    conn = dial()
    calls.kill(conn, row["pid"], 19)
    conn.close()
    shell.see("[1]+  Stopped                 each")
    shell.prompt()
    shell.type("fg")
    shell.see("each\r\n")
    one_is("S")
    shell.pty.sendintr()
    shell.prompt(130)


def test_leaving_hangs_up_on_a_stopped_agent(shell: Terminal) -> None:
    shell.type("each")
    one_is("S")
    shell.pty.send("\x1a")
    shell.prompt(148)
    shell.type("exit")
    shell.prompt(1)
    shell.type("exit")
    agents(lambda rows: not rows)


def test_a_stopped_background_job_ends_by_kill_and_holds_no_wait(shell: Terminal) -> None:
    shell.type("ask &")
    shell.see("[1] ")
    shell.prompt()
    shell.until("jobs", lambda shown: "Stopped" in shown)
    shell.type("wait; echo waited''1")
    shell.see("waited1")
    shell.prompt()
    shell.type("kill %%; wait %%; echo ended''$?")
    shell.see("ended143")
    shell.prompt()
    shell.type("ask &")
    shell.prompt()
    shell.until("jobs", lambda shown: "Stopped" in shown)
    shell.type("kill -HUP %%; wait; echo waited''2")
    shell.see("waited2")
    shell.prompt()
    agents(lambda rows: not rows)
    shell.until("jobs", lambda shown: not shown)
