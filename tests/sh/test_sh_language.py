"""Lexer and parser: what they make of a text, and that no text breaks them."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from llmsh.sh.ansi import ansi_c
from llmsh.sh.errors import ShellSyntaxError
from llmsh.sh.lexer import END, Lexer
from llmsh.sh.parser import Parser, parse
from llmsh.sh.quote import backslashed, quote
from llmsh.sh.tree import (
    Assignment,
    Double,
    Group,
    Here,
    Literal,
    Parameter,
    Pipeline,
    Quoted,
    Simple,
    Substitution,
    Word,
    static_text,
)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
PIECES = [
    *"'\"\\$`(){}|&;<>\n \t#!=~*?[]aE1@-é\udc80",
    *("${", "$(", "<<", "<<-", "x=", "2>", "&&", "||", ":-", "%%", "$'", "\\n"),
]
PROGRAM = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def first(text: str) -> Simple:
    command = only(text).commands[0]
    assert isinstance(command, Simple)
    return command


def only(text: str) -> Pipeline:
    (items,) = parse(text)
    (item,) = items
    return item.command.first


def words(text: str) -> list[str | None]:
    return [static_text(word) for word in first(text).words]


def test_words_and_quotes() -> None:
    assert words("echo 'a b' \"c d\" e\\ f g''h # comment") == ["echo", "a b", "c d", "e f", "gh"]
    assert words("a\\\nb 'c\nd'") == ["ab", "c\nd"]
    assert words("echo a#b \\# '#'") == ["echo", "a#b", "#", "#"]


def test_parts_of_a_word() -> None:
    assert first("a$b\"c$d\"'e'").words[0] == Word(
        (Literal("a"), Parameter("b"), Double((Quoted("c"), Parameter("d"))), Quoted("e"))
    )
    assert first("${x:-a b}").words[0].parts == (Parameter("x", ":-", Word((Literal("a b"),))),)
    assert first("${#x} $# ${#}").words[0].parts == (Parameter("x", "length"),)
    assert isinstance(first("$(ls | wc)").words[0].parts[0], Substitution)


def test_assignments_end_at_the_first_word() -> None:
    command = first("a=1 b= c=$d cmd e=5 >f")
    assert [a.name for a in command.assignments] == ["a", "b", "c"]
    assert command.assignments[1] == Assignment("b", Word(()))
    assert len(command.words) == 2
    assert first("'a'=1").assignments == ()
    assert first("1a=1").assignments == ()


def test_lists_pipelines_and_groups() -> None:
    ((one, two),) = parse("a | b && ! c || d & e")
    assert one.background
    assert not two.background
    assert [operator for operator, _ in one.command.rest] == ["&&", "||"]
    assert one.command.rest[0][1].negated
    assert one.command.text == "a | b && ! c || d"
    group = only("( a; b ) >f").commands[0]
    assert isinstance(group, Group)
    assert group.subshell
    assert len(group.body) == 2
    assert len(group.redirects) == 1


def test_redirections_and_descriptors() -> None:
    redirects = first("cmd 2>&1 <in 10>>log 2 >out >|x <>y").redirects
    assert [(r.fd, r.operator) for r in redirects] == [(2, ">&"), (0, "<"), (10, ">>"), (1, ">"), (1, ">|"), (0, "<>")]
    assert words("cmd 2 >out") == ["cmd", "2"]


def test_here_documents_follow_their_line() -> None:
    command = first("cat <<A - <<'B'\nx $y\nA\n$z\nB\n")
    here, quoted = (r.target for r in command.redirects)
    assert isinstance(here, Here)
    assert isinstance(quoted, Here)
    assert here.body.parts[0] == Double((Quoted("x "), Parameter("y"), Quoted("\n")))
    assert quoted.body.parts == (Quoted("$z\n"),)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("echo ok\n\n;", 3),
        ("a &&", 1),
        ("a | | b", 1),
        ("a\n(b\n", 3),
        ("echo 'x\n\n", 1),
        ('\n\necho "x', 3),
        ("a > ;", 1),
        ("cat <<E\nx", 1),
        ("echo )", 1),
        ("${x", 1),
        ("${}", 1),
        ("${x:}", 1),
        ("$((1))", 1),
        ("if true; then", 1),
        ("f() { :; }", 1),
        ("}", None),
    ],
)
def test_errors_name_their_line(text: str, line: int | None) -> None:
    if line is None:
        assert words(text) == ["}"]
        return
    with pytest.raises(ShellSyntaxError) as caught:
        parse(text)
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


def test_text_is_asked_for_only_when_needed() -> None:
    asked: list[int] = []
    lines = ["echo a\n", "echo 'b\n", "c'\n", "cat <<E\n", "E\n"]

    def more() -> str | None:
        asked.append(1)
        return lines.pop(0) if lines else None

    parser = Parser(Lexer(more=more))
    for count in (1, 3, 5):
        assert parser.complete()
        assert len(asked) == count


@pytest.mark.parametrize(("open_", "close"), [("$(", ")"), ("( ", " )"), ("{ ", ";}"), ("${x:-", "}"), ('"$(', ')"')])
def test_deep_nesting_is_one_error(open_: str, close: str) -> None:
    with pytest.raises(ShellSyntaxError, match="nested more than"):
        parse("echo; " + open_ * 5000 + "a" + close * 5000)


def test_escapes_of_ansi_c_quotes() -> None:
    assert ansi_c(r"a\tb\n\x41\101\u00e9\'\\\q") == "a\tb\nAAé'\\\\q"
    assert ansi_c(r"a\0b") == "a"
    assert ansi_c(r"\xff") == "\udcff"


@given(TEXT)
@example("")
@example("-n")
@example("a'b\"c$d`e\\f")
def test_quoting_round_trip(text: str) -> None:
    assert words(f"echo {quote(text)}") == ["echo", text]


@given(TEXT.filter(bool))
def test_completion_quoting_round_trip(text: str) -> None:
    assume(not text.startswith("~"))  # a tilde is left to be one: ~/file
    assert words(f"echo {backslashed(text)}") == ["echo", text]


@given(PROGRAM)
@settings(max_examples=1500, deadline=None)
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        commands = parse(text)
    except ShellSyntaxError as error:
        commands = []
        line = error.line
    else:
        line = 1
    assert 1 <= line <= text.count("\n") + 2
    assert all(commands)


@given(PROGRAM)
@settings(max_examples=500, deadline=None)
def test_lines_one_by_one_are_the_text_at_once(text: str) -> None:
    pieces = iter([line + "\n" for line in text.split("\n")])
    assert outcome(Parser(Lexer(text + "\n"))) == outcome(Parser(Lexer(more=lambda: next(pieces, None))))


def outcome(parser: Parser) -> tuple[list[object], str]:
    """What a parser made of its text before its end or its first error."""
    out: list[object] = []
    try:
        while (items := parser.complete()) is not None:
            if items:
                out.append(items)
    except ShellSyntaxError as error:
        return out, str(error)
    return out, ""


def test_tokens_end() -> None:
    lexer = Lexer("a")
    assert lexer.next().text == "a"
    assert lexer.next().kind == END
    assert lexer.next().kind == END
