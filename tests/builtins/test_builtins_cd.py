"""cd: of the shell, which does it; outside it one line says so."""

from pathlib import Path

from tests.support.client import llmsh, refused


def test_outside_the_shell_it_says_where_it_works(xdg: Path) -> None:
    done = llmsh("cd")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cd: only the shell can do this; start it with `llmsh`\n"
    assert "-q: unknown option" in refused("cd", "-q")
    assert llmsh("cd", "--help").stdout.startswith("Usage: cd ")


def test_in_the_shell_it_moves_it(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    done = llmsh("-c", f"cd {tmp_path}; cd 'a b' && pwd; cd ..; pwd; cd - >/dev/null; pwd; cd; pwd", HOME=str(tmp_path))
    assert done.stdout.splitlines() == [f"{tmp_path}/a b", str(tmp_path), f"{tmp_path}/a b", str(tmp_path)]


def test_a_folder_that_is_not_there_leaves_it_where_it_was() -> None:
    done = llmsh("-c", "cd /; cd /no/such/folder; echo $?; pwd")
    assert done.stdout == "1\n/\n"
    assert done.stderr.count("\n") == 1
