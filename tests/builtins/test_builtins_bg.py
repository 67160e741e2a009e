"""bg: stopped jobs go on in the background, over the fake model."""

from pathlib import Path

import pytest

from tests.support.client import llmsh, refused
from tests.support.endless import Endless


@pytest.mark.usefixtures("daemon")
def test_a_stopped_job_goes_on() -> None:
    with Endless() as one, Endless() as two:
        for agent in (one, two):
            llmsh("kill", "-STOP", str(agent.pid))
        assert llmsh("bg", "%1").stdout == "[1]- ask go on &\n"
        assert llmsh("jobs", "-p", "-r").stdout == f"{one.pid}\n"
        assert llmsh("bg").stdout == "[2]+ ask go on &\n", "the one stopped last"
        assert llmsh("jobs", "-p", "-r").stdout == f"{one.pid}\n{two.pid}\n"
        llmsh("kill", "-STOP", str(one.pid))
        some = llmsh("bg", "%7", "%1")
        assert (some.returncode, some.stdout, some.stderr) == (1, "[1]+ ask go on &\n", "bg: %7: no such job\n")
        assert llmsh("jobs", "-p", "-r").stdout == f"{one.pid}\n{two.pid}\n"


@pytest.mark.usefixtures("shared")
def test_without_jobs_there_is_no_current_one() -> None:
    done = llmsh("bg")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "bg: no current job\n")


def test_a_wrong_option_is_one_line(xdg: Path) -> None:
    assert "-q: unknown option" in refused("bg", "-q")
