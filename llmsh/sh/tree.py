"""The shell's tree: what the parser makes and expansion and execution walk. Small frozen nodes.

It knows the shape of the language and nothing of what a command does. Compound commands (if, while,
for, case, functions) join `Command` here and get a branch each in parser.py and exec.py.
"""

from typing import NamedTuple


class Literal(NamedTuple):
    """Unquoted text: subject to tilde and pathname expansion."""

    text: str


class Quoted(NamedTuple):
    """Text from single quotes, a backslash or $'...': stands for itself."""

    text: str


class Double(NamedTuple):
    """A double-quoted stretch: its parts expand, and are not split."""

    parts: "tuple[Part, ...]"


class Parameter(NamedTuple):
    """$name or ${name OPERATOR argument}; the operator `length` is ${#name}."""

    name: str
    operator: str = ""
    argument: "Word | None" = None


class Substitution(NamedTuple):
    """$(...) or `...`: the output of a list."""

    body: "List"


Part = Literal | Quoted | Double | Parameter | Substitution


class Word(NamedTuple):
    """One word of a command, in parts."""

    parts: tuple[Part, ...]


class Here:
    """The body of a here-document. Mutable once: it is read after the line that announces it."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        self.body = Word(())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Here) and other.body == self.body

    def __hash__(self) -> int:
        return hash(self.body)


class Redirect(NamedTuple):
    """[fd]OPERATOR target; operators are < > >> >| <> <& >& and <<."""

    fd: int
    operator: str
    target: Word | Here


class Assignment(NamedTuple):
    """name=value before a command, or alone."""

    name: str
    value: Word


class Simple(NamedTuple):
    """A simple command. `line` is where it begins, for messages."""

    assignments: tuple[Assignment, ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]
    line: int


class Group(NamedTuple):
    """{ list; } in the shell itself, or ( list ) in a child when `subshell`."""

    body: "List"
    redirects: tuple[Redirect, ...]
    subshell: bool
    line: int


Command = Simple | Group


class Pipeline(NamedTuple):
    """[!] command | command ...; `text` is its source, for job listings."""

    commands: tuple[Command, ...]
    negated: bool
    text: str


class AndOr(NamedTuple):
    """Pipelines joined by && and ||, which bind alike and from the left."""

    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...]
    text: str


class Item(NamedTuple):
    """One element of a list; in the background when it ended in &."""

    command: AndOr
    background: bool


List = tuple[Item, ...]


def static_text(word: Word) -> str | None:
    """The word's text when it is the same in every run (quotes allowed), else None."""
    pieces: list[str] = []
    for index, part in enumerate(word.parts):
        if isinstance(part, Literal):
            if any(mark in part.text for mark in "*?[") or (index == 0 and part.text.startswith("~")):
                return None
            pieces.append(part.text)
        elif isinstance(part, Quoted):
            pieces.append(part.text)
        elif isinstance(part, Double):
            inner = static_text(Word(tuple(Quoted(p.text) if isinstance(p, Literal) else p for p in part.parts)))
            if inner is None:
                return None
            pieces.append(inner)
        else:
            return None
    return "".join(pieces)
