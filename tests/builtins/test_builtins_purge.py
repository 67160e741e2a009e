"""purge over a daemon with the fake model: what has ended is forgotten, what runs is not."""

import json
from pathlib import Path

import pytest

from llmsh.abi import paths
from tests.support.client import llmsh
from tests.support.endless import WITHOUT_END

pytestmark = pytest.mark.usefixtures("daemon")


def test_what_has_ended_is_forgotten_and_what_runs_keeps_its_log() -> None:
    ended = llmsh("run", "-d", "--max-tokens", "8", "ask", "why?").stdout.strip()
    assert llmsh("wait", ended).returncode == 0
    size = len(llmsh("logs", ended).stdout.encode())
    assert size
    running = llmsh("run", "-d", *WITHOUT_END, "ask", "go on").stdout.strip()
    assert json.loads(llmsh("purge", "--json").stdout) == {"processes": 1, "bytes": size}
    assert llmsh("logs", ended).returncode == 1
    assert llmsh("wait", ended).returncode == 127
    assert [file.name for file in Path(paths.state(), "logs").iterdir() if file.suffix == ".out"] == [f"{running}.out"]
    assert llmsh("kill", "-KILL", running).returncode == 0
    assert llmsh("wait", running).returncode == 137


def test_it_takes_no_argument() -> None:
    done = llmsh("purge", "all")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "purge: 'all': it takes no argument (see `llmsh purge --help`)\n"
