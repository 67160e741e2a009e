"""dmesg: the kernel's messages, those that are there and those that come."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.client import NO_SPACE, WORDS, environment, into_full, llmsh, refused


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
    assert into_full("dmesg") == (1, f"dmesg: {NO_SPACE}")


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


@pytest.mark.parametrize("argv", [("more",), ("-x",), ("--bogus",)])
def test_a_wrong_command_line_is_one_line(xdg: Path, argv: tuple[str, ...]) -> None:
    refused("dmesg", *argv)
