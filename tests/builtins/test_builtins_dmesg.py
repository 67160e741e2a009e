"""dmesg: the kernel's messages, those that are there and those that come."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, WORDS, environment, into_full, llmsh, refused
from tests.support.daemon import Daemon
from tests.support.endless import WITHOUT_END


@pytest.mark.usefixtures("shared")
def test_every_message_in_three_forms() -> None:
    rows = [json.loads(line) for line in llmsh("dmesg", "--json").stdout.splitlines()]
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(set(row) >= {"n", "time", "up_ms", "line"} for row in rows)
    texts = [row["line"] for row in rows]
    assert llmsh("dmesg", "-t").stdout.splitlines() == texts
    stamped = llmsh("dmesg").stdout.splitlines()
    assert [re.sub(r"^\[ *\d+\.\d{3}\] ", "", line) for line in stamped] == texts
    dated = llmsh("dmesg", "-T").stdout.splitlines()
    assert [re.sub(r"^\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\] ", "", line) for line in dated] == texts
    levels = [row["level"] for row in rows]
    assert set(levels) == {"info"}
    assert llmsh("dmesg", "-x", "-t").stdout.splitlines() == [f"info  : {text}" for text in texts]
    assert into_full("dmesg") == (1, f"dmesg: {NO_SPACE}")


def test_only_of_some_levels(xdg: Path) -> None:
    daemon = Daemon()
    pid = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    daemon.stop(signal.SIGKILL)
    after = Daemon()
    lost = f"ask[{pid}]: lost with the last daemon; its status is 137"
    every = llmsh("dmesg", "-t").stdout.splitlines()
    assert [llmsh("dmesg", "-t", "-l", levels).stdout.splitlines() for levels in ("err", "warn+", "crit,err")] == (
        [[lost]] * 3
    )
    assert llmsh("dmesg", "-t", "--level=info").stdout.splitlines() == [line for line in every if line != lost]
    assert f"err   : {lost}" in llmsh("dmesg", "-xt").stdout.splitlines()
    assert [json.loads(line)["line"] for line in llmsh("dmesg", "-l", "err", "--json").stdout.splitlines()] == [lost]
    assert llmsh("dmesg", "-l", "crit+").stdout == ""
    after.stop()


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("option", ["-wt", "-ft", "--follow"])
def test_it_follows(option: str) -> None:
    model = f"fake:cells={512 + len(option)}{option.count('f')}"  # one that no test here has had
    words = [*WORDS, "dmesg", option]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()) as follower:
        assert follower.stdout is not None
        assert b"llmshd is pid" in follower.stdout.readline()
        assert llmsh("run", "--model", model, "--max-tokens", "1", "ask", "x").returncode == 0
        assert any(model.encode() in line for line in follower.stdout)
        follower.terminate()


@pytest.mark.parametrize("argv", [("more",), ("-z",), ("--bogus",), ("-l", "grave"), ("-l", "err++"), ("-l", "")])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("dmesg", *argv)
