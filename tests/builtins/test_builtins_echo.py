"""echo: its arguments, its escapes and no options but three, as in bash."""

import pytest

from tests.support.client import NO_SPACE, into_full, llmsh


@pytest.mark.parametrize(
    ("argv", "out"),
    [
        (["a", "b"], "a b\n"),
        (["-n", "a"], "a"),
        (["-e", r"a\tb\n\x41\0101\\"], "a\tb\nAA\\\n"),
        (["-e", r"a\cb", "c"], "a"),
        (["-E", r"a\tb"], "a\\tb\n"),
        (["-x", "-n"], "-x -n\n"),
        (["--help"], "--help\n"),
        (["-ne", r"a\n"], "a\n"),
        (["-eE", r"\t"], "\\t\n"),
        (["-Ee", r"\t"], "\t\n"),
        (["-"], "-\n"),
        (["--", "a"], "-- a\n"),
        (["", "a", ""], " a \n"),
        (["a  b", "\udcff"], "a  b \udcff\n"),
        (["-e", r"\xff\x4\0"], "\udcff\x04\0\n"),
        (["-e", r"\q\x"], "\\q\\x\n"),
        ([], "\n"),
    ],
)
def test_what_it_writes(argv: list[str], out: str) -> None:
    assert llmsh("echo", *argv).stdout == out


def test_a_full_disk_is_said() -> None:
    assert into_full("echo", "x") == (1, f"echo: {NO_SPACE}")
