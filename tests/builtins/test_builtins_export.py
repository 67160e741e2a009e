"""export: of the shell, which does it; outside it one line says so."""

from pathlib import Path

from tests.support.client import llmsh, refused


def test_outside_the_shell_it_says_where_it_works(xdg: Path) -> None:
    done = llmsh("export")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "export: only the shell can do this; start it with `llmsh`\n"
    assert "-q: unknown option" in refused("export", "-q")
    assert llmsh("export", "--help").stdout.startswith("Usage: export ")


def test_in_the_shell_commands_get_the_variable() -> None:
    show = "sh -c 'echo $one-$two'"
    assert llmsh("-c", f"one=1; two=2; {show}; export one two=3; {show}").stdout == "-\n1-3\n"


def test_what_is_no_name_is_one_line() -> None:
    done = llmsh("-c", "export 1=2; echo $?")
    assert done.stdout != "0\n"
    assert done.stderr.count("\n") == 1
