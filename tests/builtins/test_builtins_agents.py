"""agents: lists what ships, shows a unit whole, and says where a broken one is wrong."""

import json
import subprocess
from pathlib import Path

from tests.support.client import WORDS, environment, llmsh

SHIPPED = {"ask", "chat", "ner", "sentiment", "summarize", "translate"}


def unit(xdg: Path, name: str, text: str) -> Path:
    """A unit of the user's."""
    folder = xdg / "config" / "llmsh" / "agents.d"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_ls_lists_the_shipped_ones_and_the_users(xdg: Path) -> None:
    unit(xdg, "haiku", 'kind = "prompt"\ndescription = "writes a haiku"\n')
    done = llmsh("agents", "ls", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["name"] for row in rows} == SHIPPED | {"haiku"}
    assert done.returncode == 0


def test_check_says_file_line_key_and_what_was_expected(xdg: Path) -> None:
    path = unit(xdg, "broken", 'kind = "prompt"\ndescription = "x"\nnice = "much"\n')
    done = llmsh("agents", "check", str(path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"agents: {path}:3: nice: ")
    assert done.stderr.count("\n") == 1
    assert llmsh("agents", "ls").returncode == 1


def test_every_shipped_unit_is_right(xdg: Path) -> None:
    done = llmsh("agents", "check", *sorted(SHIPPED))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": ok\n") == len(SHIPPED)


def test_a_folder_that_is_gone_is_said_to_be(xdg: Path) -> None:
    script = f'cd "{xdg}"; mkdir x; cd x; rmdir ../x; {" ".join(WORDS)} agents check ./x.toml'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False, env=environment())
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"agents: the working folder is gone: No such file or directory\n"


def test_show_prints_the_unit_as_it_is(xdg: Path) -> None:
    shown = json.loads(llmsh("agents", "show", "sentiment").stdout)
    assert shown["labels"] == ["negative", "positive"]
    done = llmsh("agents", "show", "nobody")
    assert (done.returncode, done.stderr) == (1, "agents: nobody: no such agent\n")
    assert llmsh("agents", "paint").returncode == 2
