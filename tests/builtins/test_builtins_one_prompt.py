"""run --best-of and map compute the prompt of their processes once and hold it once: counted, over the fake model."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmsh.kernel.prefixes import BLOCK
from tests.support.client import WORDS, environment, llmsh
from tests.support.daemon import Daemon
from tests.support.endless import WITHOUT_END

MANY = 8
SYSTEM = "Say what it is about, in few words, and name nobody. " * 10
"""Of the fake model's tokens each is a byte."""
OWN = 64 + BLOCK
"""More tokens than each has beside that: its item, what the template adds, what is not worth sharing, a lease."""
COMMANDS = {
    "best": (("run", "--best-of", str(MANY), "--temp", "1"), ("brief", "a text"), b""),
    "map": (("map", "-P", str(MANY)), ("brief",), b"".join(b"%d: a text\n" % n for n in range(MANY))),
}


@pytest.fixture
def wide(xdg: Path) -> Iterator[None]:
    """A daemon whose model has cells for all, however often each has the prompt; a unit with a long one."""
    folder = xdg / "config" / "llmsh" / "agents.d"
    folder.mkdir(parents=True)
    (folder / "brief.toml").write_text(f'kind = "prompt"\ndescription = "is brief"\nsystem = "{SYSTEM}"\n')
    (folder / "brief.toml").chmod(0o600)
    daemon = Daemon("-o", "model=fake:cells=60000,context=30000")
    assert daemon.said == "\n", daemon.said
    yield
    daemon.stop()


def used() -> int:
    """Cells in use."""
    return int(json.loads(llmsh("free", "--json").stdout)["used"])


def rows(client: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in llmsh("ps", "--ppid", str(client), "--json").stdout.splitlines()]


@contextmanager
def running(name: str) -> Iterator[int]:
    """The command on the unit, until all of its processes have made a token; its pid."""
    command, operands, given = COMMANDS[name]
    words = [*WORDS, *command, *WITHOUT_END, *operands]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=subprocess.DEVNULL, env=environment()) as client:
        assert client.stdin is not None
        client.stdin.write(given)
        client.stdin.close()
        while [row["tokens_out"] > 0 for row in rows(client.pid)] != [True] * MANY:
            assert client.poll() is None
        yield client.pid
        client.send_signal(signal.SIGINT)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_prompt_is_computed_once_and_held_once(name: str) -> None:
    with running(name) as client:
        cells, found = used(), rows(client)
    assert len(SYSTEM) <= sum(row["tokens_in"] for row in found) <= len(SYSTEM) + MANY * OWN
    assert all(row["shared"] >= len(SYSTEM) for row in found)
    # Asked for first, so that there are no more cells than all have tokens by now.
    assert cells <= len(SYSTEM) + sum(row["tokens_out"] for row in found) + MANY * OWN


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("name", COMMANDS)
def test_deterministic_ones_compute_it_each(name: str) -> None:
    """They share with nobody, so the same figures show it: a test of the test."""
    command, operands, given = COMMANDS[name]
    assert llmsh(*command, "--max-tokens", "3", "--deterministic", *operands, stdin=given).returncode == 0
    assert json.loads(llmsh("lsdev", "-l", "--json").stdout)["tokens_in"] >= MANY * len(SYSTEM)
