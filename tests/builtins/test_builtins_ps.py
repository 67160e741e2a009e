"""ps over the fake model: selections, columns, records, widths, and what is said of mistakes."""

import json
import os
from pathlib import Path

import pytest

from llmsh.abi.records import PS
from tests.support.client import NO_SPACE, into_full, llmsh, refused
from tests.support.endless import Endless


def lines(text: str) -> list[list[str]]:
    """Words of each line."""
    return [line.split() for line in text.splitlines()]


@pytest.mark.usefixtures("daemon")
def test_it_shows_what_was_asked_for() -> None:
    with Endless("--nice", "1") as one, Endless("--nice", "5") as two:
        a, b = str(one.pid), str(two.pid)
        head, *rows = lines(llmsh("ps", "-e").stdout)
        assert head == ["PID", "TTY", "STAT", "TIME", "CMD"]
        assert [row[0] for row in rows] == ["1", a, b]
        assert rows[1][-3:] == ["ask", "go", "on"]
        assert lines(llmsh("ps", "-p", f"{b},{a}", "-o", "pid=,ni=").stdout) == [[a, "1"], [b, "5"]]
        assert lines(llmsh("ps", a, b, "-o", "pid", "--sort=-pid", "--no-headers").stdout) == [[b], [a]]
        assert lines(llmsh("ps", "--sort", "nice,-pid", "-eo", "pid=WHO").stdout)[0] == ["WHO"]
        assert lines(llmsh("ps", "-N", "-p", a, "-o", "pid=").stdout) == [["1"], [b]]
        assert lines(llmsh("ps", "-C", "ask", "-o", "comm=").stdout) == [["ask"], ["ask"]]
        assert lines(llmsh("ps", "--ppid", str(one.client.pid), "-o", "pid=").stdout) == [[a]]
        assert lines(llmsh("ps", "-p", a, "-o", "opri=,priority=,pri=").stdout) == [["81", "21", "18"]]
        assert lines(llmsh("ps", a, b, "-o", "pid=", "--sort", "pri").stdout) == [[b], [a]]


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("option", "header"),
    [
        ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
        ("-ej", "PID PGID SID TTY STAT TIME CMD"),
        ("-el", "S UID PID PPID C PRI NI CORE RSS SHR SWAP SZ WCHAN TTY TIME CMD"),
        ("-ely", "S UID PID PPID C PRI NI CORE RSS SHR SWAP SZ WCHAN TTY TIME CMD"),
        ("axl", "UID PID PPID PRI NI VSZ RSS WCHAN STAT TTY TIME COMMAND"),
        ("ax", "PID TTY STAT TIME COMMAND"),
    ],
)
def test_headers_are_those_of_procps(option: str, header: str) -> None:
    first, init, *_ = lines(llmsh("ps", option).stdout)
    assert " ".join(first) == header
    assert init[-1] == "init"


@pytest.mark.usefixtures("shared")
def test_records_have_every_field() -> None:
    with Endless() as agent:
        rows = {row["pid"]: row for row in map(json.loads, llmsh("ps", "-e", "--json").stdout.splitlines())}
        assert all(set(row) >= set(PS) for row in rows.values())
        row = rows[agent.pid]
        assert (row["agent"], row["model"], row["ppid"]) == ("ask", "fake", agent.client.pid)
        assert row["sid"] == os.getsid(0)
        assert row["rss_bytes"] == 1024 * row["rss"] > 0
        assert json.loads(llmsh("ps", "--json", str(agent.pid)).stdout)["pid"] == agent.pid


@pytest.mark.usefixtures("shared")
def test_it_keeps_to_the_width() -> None:
    with Endless():
        assert max(map(len, llmsh("ps", "-el", COLUMNS="40").stdout.splitlines())) == 40
        assert max(map(len, llmsh("ps", "-elw", COLUMNS="40").stdout.splitlines())) > 40
        assert max(map(len, llmsh("ps", "-el", "--cols", "30").stdout.splitlines())) == 30


@pytest.mark.parametrize("argv", [("-o", "nonsense"), ("--sort", "nonsense"), ("-p", "x"), ("--bogus",), ("q",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("ps", *argv)


@pytest.mark.usefixtures("shared")
def test_a_named_process_that_is_not_there_is_status_1() -> None:
    assert lines(llmsh("ps", "-p", "9999999").stdout) == [["PID", "TTY", "STAT", "TIME", "CMD"]]
    assert llmsh("ps", "-p", "9999999").returncode == 1
    assert llmsh("ps", "-p", "9999999", "--json").returncode == 1
    assert into_full("ps", "-e") == (1, f"ps: {NO_SPACE}")
    assert into_full("ps", "-e", "--json") == (1, f"ps: {NO_SPACE}")


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("ps", "-e", "--json"), 0),
        (("ps", "aux"), 0),
        (("free",), 0),
        (("lsdev",), 0),
        (("uptime",), 0),
        (("jobs",), 0),
        (("dmesg",), 0),
        (("ps", "-C", "ask"), 1),
        (("ps", "--ppid", "1", "-s", "1", "-g", "1", "-t", "pts/0", "-u", "root"), 1),
        (("pgrep", "ask"), 1),
        (("pkill", "ask"), 1),
        (("kill", "4194400"), 1),
        (("wait", "4194400"), 127),
        (("logs", "4194400"), 1),
        (("renice", "5", "4194400"), 1),
        (("daemon", "status"), 3),
        (("daemon", "stop"), 0),
        (("fg",), 1),
        (("bg",), 1),
        (("model", "ls"), 0),
        (("agents", "ls"), 0),
        (("nice",), 0),
        (("timeout", "9", "true"), 0),
    ],
)
def test_an_empty_machine_is_reported_and_not_started(xdg: Path, argv: tuple[str, ...], status: int) -> None:
    done = llmsh(*argv)
    assert done.returncode == status, done.stderr
    assert done.stderr.count("\n") <= 1
    assert list((xdg / "runtime").iterdir()) == []
