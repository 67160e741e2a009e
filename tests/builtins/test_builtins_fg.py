"""fg: prints what a job writes from here on and ends as it does, over the fake model."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.client import WORDS, environment, llmsh, refused
from tests.support.crowd import crowded_llmsh
from tests.support.endless import WITHOUT_END

pytestmark = pytest.mark.usefixtures("shared")


def test_a_detached_one_prints_its_log_and_ends_as_it_does() -> None:
    pid = llmsh("run", "-d", "--max-tokens", "60", "--ignore-eos", "ask", "x").stdout.strip()
    llmsh("kill", "-STOP", pid)
    had = llmsh("logs", pid).stdout
    done = llmsh("fg", pid)
    assert done.returncode == 0
    assert done.stdout.startswith("ask x\n")
    printed = done.stdout.removeprefix("ask x\n")
    assert printed
    assert llmsh("logs", pid).stdout.startswith(had + printed)


def test_one_that_is_killed_is_its_own_end() -> None:
    pid = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    words = [*WORDS, "fg", pid]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"ask x\n"
        assert follower.stdout.read(1), "it follows"
        llmsh("kill", "-KILL", pid)
        follower.stdout.read()
    assert follower.returncode == -signal.SIGKILL


def test_signals_are_passed_on() -> None:
    pid = llmsh("run", "-d", *WITHOUT_END, "ask", "x").stdout.strip()
    llmsh("kill", "-STOP", pid)
    words = [*WORDS, "fg", pid]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"ask x\n"
        assert follower.stdout.read(1), "it follows"
        follower.send_signal(signal.SIGTERM)
        follower.stdout.read()
    assert follower.returncode == -signal.SIGTERM
    assert llmsh("wait", pid).returncode == 128 + signal.SIGTERM


def test_many_open_files_are_no_matter() -> None:
    pid = llmsh("run", "-d", "--max-tokens", "60", "--ignore-eos", "ask", "x").stdout.strip()
    llmsh("kill", "-STOP", pid)
    status, out, err = crowded_llmsh("fg", pid)
    assert (status, err) == (0, "")
    assert len(out) > len("ask x\n")


def test_what_is_no_job() -> None:
    done = llmsh("fg", "%7")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "fg: %7: no such job\n")
    assert "one job" in refused("fg", "%1", "%2")
    assert "-q: unknown option" in refused("fg", "-q")


def test_an_empty_machine_has_no_current_job(xdg: Path) -> None:
    done = llmsh("fg")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "fg: no current job\n")
