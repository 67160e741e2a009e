"""exit: of the shell, which does it; outside it one line says so."""

from pathlib import Path

import pytest

from tests.support.client import llmsh, refused


def test_outside_the_shell_it_says_where_it_works(xdg: Path) -> None:
    done = llmsh("exit")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "exit: only the shell can do this; start it with `llmsh`\n"
    assert "-q: unknown option" in refused("exit", "-q")
    assert llmsh("exit", "--help").stdout.startswith("Usage: exit ")


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit", 0), ("exit 7", 7), ("false; exit", 1), ("exit 256", 0), ("(exit 3); exit", 3), ("exit 2; echo no", 2)],
)
def test_in_the_shell_it_ends_it(script: str, status: int) -> None:
    done = llmsh("-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_what_is_no_number_is_one_line() -> None:
    done = llmsh("-c", "exit x")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
