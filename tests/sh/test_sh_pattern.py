"""Patterns: what they match, against fnmatch where the two agree, and that none is a trap."""

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.sh import glob
from llmsh.sh.pattern import escape, has_marks, matches, trim, unescape


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("*", "", True),
        ("a*c", "abbc", True),
        ("a?c", "ac", False),
        ("[!a]", "b", True),
        ("[^a]", "a", False),
        ("[]a]", "]", True),
        ("[a-c]x", "bx", True),
        ("[[:digit:][:upper:]]", "B", True),
        ("[[:nosuch:]]", "a", False),
        ("[a", "[a", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("a\\", "a\\", True),
        ("[\\]]", "]", True),
        ("[a\\-z]", "b", False),
    ],
)
def test_matches(pattern: str, text: str, wanted: bool) -> None:
    assert matches(pattern, text) is wanted


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_agrees_with_fnmatch(pattern: str, text: str) -> None:
    assert matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@given(st.text(max_size=20), st.text(max_size=20))
def test_escaped_text_matches_itself_only(text: str, other: str) -> None:
    assert matches(escape(text), text)
    assert not has_marks(escape(text))
    assert unescape(escape(text)) == text
    assert matches(escape(text), other) == (text == other)


def test_stars_take_no_exponential_time() -> None:
    assert not matches("*a" * 200 + "b", "a" * 2000)


def test_trim_takes_the_shortest_or_longest() -> None:
    assert trim("*/", "a/b/c", end=False, longest=False) == "b/c"
    assert trim("*/", "a/b/c", end=False, longest=True) == "c"
    assert trim("/*", "a/b/c", end=True, longest=False) == "a/b"
    assert trim("x", "abc", end=True, longest=True) == "abc"


def test_glob_walks_folders(tmp_path: Path) -> None:
    for name in ("a/x.txt", "b/x.txt", "b/.h", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    root = escape(str(tmp_path))
    assert glob.glob(f"{root}/*/*.txt") == [f"{tmp_path}/a/x.txt", f"{tmp_path}/b/x.txt"]
    assert glob.glob(f"{root}/*/") == [f"{tmp_path}/a/", f"{tmp_path}/b/"]
    assert glob.glob(f"{root}/b/.*") == [f"{tmp_path}/b/.h"]
    assert glob.glob(f"{root}//[ab]/x.txt") == [f"{tmp_path}//a/x.txt", f"{tmp_path}//b/x.txt"]
    assert glob.glob(f"{root}/none*/x") == []
