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
        assert llmsh("bg", "%1").stdout == "[1]+ ask go on &\n"
        assert llmsh("jobs", "-p", "-r").stdout == f"{one.pid}\n"
        assert llmsh("bg").stdout == "[2]+ ask go on &\n", "the one stopped last"
        assert llmsh("jobs", "-p", "-r").stdout == f"{one.pid}\n{two.pid}\n"
        assert "%7: no such job" in refused("bg", "%7")


@pytest.mark.usefixtures("shared")
def test_without_jobs_there_is_no_current_one() -> None:
    assert "no current job" in refused("bg")


def test_a_wrong_option_is_one_line(xdg: Path) -> None:
    assert "-q: unknown option" in refused("bg", "-q")
