"""Command lines by a table, help, and how text is laid out for people."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.lib import forms, table, term
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.options import Shown, Usage, parse

COMMAND = Command(
    "cmd",
    "does a thing",
    ("[-ab] [FILE]...",),
    (
        flag("-a", "--all", help="everything"),
        flag("-b", help="brief"),
        takes("-n", "--lines", value="N", kind="int", help="how many"),
        takes("-s", "--size", value="BYTES", kind="size", help="how large"),
        takes("--wait", value="SECONDS", kind="seconds", help="how long"),
        takes("--word", value="W", repeat=True, help="a word"),
        takes("--kind", value="K", choices=("one", "two"), help="which"),
        takes("-x", value="X", kind="num", help="a number"),
    ),
)


@pytest.mark.parametrize(
    ("line", "found", "operands"),
    [
        ("-a -b f", {"all": 1, "b": 1}, ["f"]),
        ("-ab f", {"all": 1, "b": 1}, ["f"]),
        ("f -a", {"all": 1}, ["f"]),
        ("-n5", {"lines": 5}, []),
        ("-an 5", {"all": 1, "lines": 5}, []),
        ("--lines=-5", {"lines": -5}, []),
        ("-n -5", {"lines": -5}, []),
        ("--lines 5 --all", {"lines": 5, "all": 1}, []),
        ("--li 5", {"lines": 5}, []),
        ("-s 4K", {"size": 4096}, []),
        ("--wait 2m", {"wait": 120.0}, []),
        ("--wait=.5", {"wait": 0.5}, []),
        ("--word a --word b", {"word": ["a", "b"]}, []),
        ("--kind two", {"kind": "two"}, []),
        ("-x-1.5", {"x": -1.5}, []),
        ("-a -- -b --all", {"all": 1}, ["-b", "--all"]),
        ("- -a", {"all": 1}, ["-"]),
        ("-- --", {}, ["--"]),
        ("--word=", {"word": [""]}, []),
    ],
)
def test_a_line_is_read(line: str, found: dict[str, object], operands: list[str]) -> None:
    given = parse(COMMAND, line.split(" "))
    assert (given.options, given.operands) == (found, operands)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("-z", "-z: unknown option"),
        ("-az", "-z (in -az): unknown option"),
        ("--nothing", "--nothing: unknown option"),
        ("--w 1", "--w: ambiguous: --wait, --word"),
        ("-n", "-n: needs a value"),
        ("--lines", "--lines: needs a value"),
        ("-n x", "-n: 'x' is not a whole number"),
        ("-s 4Q", "-s: '4Q' is not a size"),
        ("-s -4", "-s: '-4' is not a size"),
        ("--wait -1", "--wait: '-1' is not a time"),
        ("--wait nan", "--wait: 'nan' is not a time"),
        ("-x inf", "-x: 'inf' is not a number"),
        ("--all=1", "--all: takes no value"),
        ("--kind three", "--kind: 'three' is none of one, two"),
    ],
)
def test_a_line_that_does_not_fit_says_where(line: str, cause: str) -> None:
    with pytest.raises(Usage) as caught:
        parse(COMMAND, line.split(" "))
    assert str(caught.value) == cause


def test_the_first_operand_ends_the_options_of_what_runs_commands() -> None:
    given = parse(COMMAND._replace(posix=True), ["-a", "cmd", "-b", "--", "x"])
    assert (given.options, given.operands) == ({"all": 1}, ["cmd", "-b", "--", "x"])


@given(st.lists(st.text(max_size=8), max_size=6))
def test_no_line_raises_anything_else(argv: list[str]) -> None:
    try:
        found = parse(COMMAND, argv)
    except (Usage, Shown):
        return
    assert len(found.operands) <= len(argv)


def test_help_shows_every_option_within_the_width() -> None:
    with pytest.raises(Shown) as caught:
        parse(COMMAND, ["-a", "--help"])
    text = str(caught.value)
    assert text.startswith("Usage: cmd [-ab] [FILE]...\n\nDoes a thing.\n")
    for option in COMMAND.options:
        assert ", ".join(option.flags) in text
        assert option.help in text
    assert max(map(len, text.splitlines())) <= 80


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_visible_text_cannot_command_a_terminal(text: str) -> None:
    shown = term.visible(text)
    controls = {
        chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    }
    assert not (controls - {"\n", "\t"}) & set(shown)
    if text.isprintable():
        assert shown == text


@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=5))
def test_a_screen_shows_the_same_however_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = term.Screen().feed(data, final=True)
    screen = term.Screen()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [screen.feed(data[a:b]) for a, b in pairwise(edges)]
    assert b"".join(pieces) + screen.feed(b"", final=True) == whole


def test_a_table_is_aligned_cut_and_without_header_if_asked() -> None:
    columns = [table.Column("N", right=True), table.Column("NAME", width=6), table.Column("REST")]
    rows = [["1", "a", "x y\nz"], ["10", "ü漢字", "w"]]
    assert table.lines(columns, rows) == [" N NAME   REST", " 1 a      x y z", "10 ü漢字  w"]
    assert table.lines(columns, rows, width=9, header=False) == [" 1 a", "10 ü漢字"]
    assert table.lines([table.Column("")], [["a"]]) == ["a"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (forms.clock(3661), "01:01:01"),
        (forms.clock(90061), "1-01:01:01"),
        (forms.elapsed(61), "01:01"),
        (forms.elapsed(3661), "01:01:01"),
        (forms.elapsed(90061), "1-01:01:01"),
        (forms.duration(42), "42 s"),
        (forms.duration(180), "3 min"),
        (forms.duration(7500), "2:05"),
        (forms.duration(2 * 86400 + 60), "2 days, 1 min"),
        (forms.human(512), "512B"),
        (forms.human(1536), "1.5Ki"),
        (forms.human(23 << 20), "23Mi"),
        (forms.human(5000 << 30), "5000Gi"),
    ],
)
def test_forms(text: str, wanted: str) -> None:
    assert text == wanted
