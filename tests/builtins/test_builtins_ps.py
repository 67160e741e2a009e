"""ps, kill, pgrep, pkill, jobs, bg, fg and the commands that look at the machine, over the fake model."""

import json
import os
import signal
from pathlib import Path

import pytest

from llmsh.abi.records import LSDEV, PS
from tests.support.client import llmsh
from tests.support.daemon import Daemon
from tests.support.endless import Endless


def lines(text: str) -> list[list[str]]:
    """Words of each line."""
    return [line.split() for line in text.splitlines()]


@pytest.mark.usefixtures("daemon")
def test_ps_shows_what_was_asked_for() -> None:
    with Endless() as one, Endless("--nice", "5") as two:
        a, b = str(one.pid), str(two.pid)
        head, *rows = lines(llmsh("ps", "-e").stdout)
        assert head == ["PID", "TTY", "STAT", "TIME", "CMD"]
        assert [row[0] for row in rows] == ["1", a, b]
        assert rows[1][-3:] == ["ask", "go", "on"]
        assert lines(llmsh("ps", "-p", f"{b},{a}", "-o", "pid=,ni=").stdout) == [[a, "0"], [b, "5"]]
        assert lines(llmsh("ps", a, b, "-o", "pid", "--sort=-pid", "--no-headers").stdout) == [[b], [a]]
        assert lines(llmsh("ps", "--sort", "nice,-pid", "-eo", "pid=WHO").stdout)[0] == ["WHO"]
        assert lines(llmsh("ps", "-N", "-p", a, "-o", "pid=").stdout) == [["1"], [b]]
        assert lines(llmsh("ps", "-C", "ask", "-o", "comm=").stdout) == [["ask"], ["ask"]]
        assert lines(llmsh("ps", "--ppid", str(one.client.pid), "-o", "pid=").stdout) == [[a]]
        assert "NI" in llmsh("ps", "-l").stdout.splitlines()[0]
        assert " ".join(lines(llmsh("ps", "aux").stdout)[0]) == "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"
        assert " ".join(lines(llmsh("ps", "-ef").stdout)[0]) == "UID PID PPID C STIME TTY TIME CMD"
        assert " ".join(lines(llmsh("ps", "-ej").stdout)[0]) == "PID PGID SID TTY STAT TIME CMD"


@pytest.mark.usefixtures("daemon")
def test_ps_json_has_every_field() -> None:
    with Endless() as agent:
        rows = [json.loads(line) for line in llmsh("ps", "-e", "--json").stdout.splitlines()]
        assert [row["pid"] for row in rows] == [1, agent.pid]
        for row in rows:
            assert set(row) >= set(PS)
        assert rows[1]["agent"] == "ask"
        assert rows[1]["ppid"] == agent.client.pid


@pytest.mark.usefixtures("daemon")
def test_ps_keeps_to_the_width() -> None:
    with Endless():
        assert max(map(len, llmsh("ps", "-el", COLUMNS="40").stdout.splitlines())) == 40
        assert max(map(len, llmsh("ps", "-elw", COLUMNS="40").stdout.splitlines())) > 40
        assert max(map(len, llmsh("ps", "-el", "--cols", "30").stdout.splitlines())) == 30


@pytest.mark.usefixtures("daemon")
def test_ps_says_what_is_wrong() -> None:
    assert llmsh("ps", "-p", "9999999").returncode == 1
    for argv in (("-o", "nonsense"), ("--sort", "nonsense"), ("-p", "x"), ("--bogus",), ("q",)):
        done = llmsh("ps", *argv)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), argv


def test_an_empty_machine_is_reported_and_not_started(xdg: Path) -> None:
    assert lines(llmsh("ps").stdout) == [["PID", "TTY", "STAT", "TIME", "CMD"]]
    for argv, status in (
        (("ps", "-e", "--json"), 0),
        (("ps", "aux"), 0),
        (("free",), 0),
        (("lsdev",), 0),
        (("uptime",), 0),
        (("jobs",), 0),
        (("dmesg",), 0),
        (("pgrep", "ask"), 1),
        (("pkill", "ask"), 1),
        (("kill", "4194400"), 1),
        (("wait", "4194400"), 127),
        (("logs", "4194400"), 1),
        (("renice", "5", "4194400"), 1),
        (("daemon", "status"), 3),
        (("daemon", "stop"), 0),
    ):
        done = llmsh(*argv)
        assert done.returncode == status, (argv, done.stderr)
        assert done.stderr.count("\n") <= 1
    assert list((xdg / "runtime").iterdir()) == []


@pytest.mark.usefixtures("daemon")
def test_kill_by_name_number_and_group() -> None:
    for argv, died in (
        (("{}",), signal.SIGTERM),
        (("-9", "{}"), signal.SIGKILL),
        (("-INT", "{}"), signal.SIGINT),
        (("-SIGHUP", "-{}"), signal.SIGHUP),
        (("-s", "quit", "--", "-{}"), signal.SIGQUIT),
        (("--signal=USR1", "{}"), signal.SIGUSR1),
    ):
        with Endless() as agent:
            done = llmsh("kill", *(word.format(agent.pid) for word in argv))
            assert (done.returncode, done.stderr) == (0, ""), argv
            assert agent.drained() == -died, argv


@pytest.mark.usefixtures("daemon")
def test_kill_says_what_is_wrong() -> None:
    unknown = llmsh("kill", "-0", "4999999")
    assert (unknown.returncode, unknown.stderr) == (1, "kill: 4999999: no such process\n")
    with Endless() as agent:
        assert llmsh("kill", "-0", "4999999", str(agent.pid)).returncode == 1
        assert llmsh("kill", "-0", str(agent.pid)).returncode == 0
    for argv in ((), ("-NONSENSE", "4999999"), ("-s", "99", "1"), ("me",)):
        done = llmsh("kill", *argv)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), argv


def test_kill_reaches_programs_of_the_machine(xdg: Path) -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
    assert llmsh("kill", "-HUP", str(child)).returncode == 0
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGHUP
    gone = llmsh("kill", str(child))
    assert (gone.returncode, gone.stderr) == (1, f"kill: {child}: no such process\n")


def test_kill_lists_signals(xdg: Path) -> None:
    assert "TERM" in llmsh("kill", "-l").stdout.split()
    assert llmsh("kill", "-l", "9", "143", "INT").stdout.split() == ["KILL", "TERM", "2"]
    assert " 9 KILL" in llmsh("kill", "-L").stdout


@pytest.mark.usefixtures("daemon")
def test_pgrep_and_pkill_select_by_pattern() -> None:
    with Endless() as one, Endless() as two:
        assert llmsh("pgrep", "a.k").stdout.split() == [str(one.pid), str(two.pid)]
        assert llmsh("pgrep", "-x", "as").returncode == 1
        assert llmsh("pgrep", "-c", "-f", "go on").stdout == "2\n"
        assert llmsh("pgrep", "-n", "ask").stdout == f"{two.pid}\n"
        assert llmsh("pgrep", "-o", "-l", "ask").stdout == f"{one.pid} ask\n"
        assert llmsh("pgrep", "-d,", "ask").stdout == f"{one.pid},{two.pid}\n"
        assert llmsh("pgrep", "(").returncode == 2
        assert llmsh("pgrep").returncode == 2
        assert llmsh("pkill", "-HUP", "-n", "-e", "ask").stdout == f"ask killed (pid {two.pid})\n"
        assert two.drained() == -signal.SIGHUP
        assert llmsh("pkill", "--signal", "KILL", "ask").returncode == 0
        assert one.drained() == -signal.SIGKILL
        assert llmsh("pkill", "ask").returncode == 1


@pytest.mark.usefixtures("daemon")
def test_jobs_of_this_session_stop_and_go_on() -> None:
    with Endless() as agent:
        assert llmsh("jobs").stdout == f"[1]+ {'Running':<23} ask go on\n"
        llmsh("kill", "-STOP", str(agent.pid))
        row = json.loads(llmsh("jobs", "--json").stdout)
        assert (row["job"], row["pgid"], row["state"]) == (1, agent.pid, "stopped")
        assert llmsh("jobs", "-r").stdout == ""
        assert llmsh("bg", "%1").stdout == "[1]+ ask go on &\n"
        assert llmsh("jobs", "-p", "-r").stdout == f"{agent.pid}\n"
        assert llmsh("bg", "%7").returncode == 2


@pytest.mark.usefixtures("daemon")
def test_fg_of_a_detached_process_prints_its_log_and_ends_as_it_does() -> None:
    pid = llmsh("run", "-d", "--max-tokens", "400", "--ignore-eos", "ask", "x").stdout.strip()
    llmsh("kill", "-STOP", pid)
    had = llmsh("logs", pid).stdout
    done = llmsh("fg", pid)
    assert done.returncode == 0
    assert done.stdout.startswith("ask x\n")
    printed = done.stdout.removeprefix("ask x\n")
    assert printed
    assert llmsh("logs", pid).stdout.startswith(had + printed)


@pytest.mark.usefixtures("daemon")
def test_what_looks_at_the_machine() -> None:
    llmsh("run", "--max-tokens", "3", "ask", "x")
    device = json.loads(llmsh("lsdev", "--json").stdout)
    assert set(device) >= set(LSDEV)
    assert lines(llmsh("lsdev", "-o", "model,cells").stdout) == [["MODEL", "CELLS"], ["fake", str(device["cells"])]]
    assert llmsh("lsdev", "-o", "nonsense").returncode == 2
    free = json.loads(llmsh("free", "--json").stdout)
    assert free["total"] == device["cells"]
    assert lines(llmsh("free").stdout)[1][:2] == ["fake:", str(free["total"])]
    assert lines(llmsh("free", "-b", "-t").stdout)[2][:2] == ["Total:", str(free["total_bytes"])]
    assert llmsh("uptime").stdout.count("load average:") == 1
    assert json.loads(llmsh("uptime", "--json").stdout)["up_ms"] > 0
    assert llmsh("uptime", "-p").stdout == "up 0 minutes\n"
    rows = [json.loads(line) for line in llmsh("dmesg", "--json").stdout.splitlines()]
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    assert llmsh("dmesg", "-t").stdout.splitlines() == [row["line"] for row in rows]


def test_the_daemon_says_how_it_is_and_stops_and_starts(xdg: Path) -> None:
    assert llmsh("daemon", "start", LLMSH_MODEL="fake").returncode == 0
    status = json.loads(llmsh("daemon", "status", "--json").stdout)
    assert status["running"] is True
    assert str(status["pid"]) in llmsh("daemon").stdout
    assert llmsh("daemon", "restart").returncode == 0
    other = json.loads(llmsh("daemon", "status", "--json").stdout)
    assert other["pid"] != status["pid"]
    assert llmsh("daemon", "stop").returncode == 0
    assert llmsh("daemon", "status").returncode == 3
    assert llmsh("daemon", "dance").returncode == 2


def test_stop_waits_until_the_daemon_has_gone(daemon: Daemon) -> None:
    assert llmsh("daemon", "stop").returncode == 0
    assert daemon.process.poll() is not None or daemon.ended()[0] == 0
