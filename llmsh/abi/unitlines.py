"""On which line of a TOML text each key stands. tomllib says what a text means, not where.

It expects text that tomllib has already accepted, and knows nothing of units.
"""

import re
from typing import NamedTuple

Path = tuple[str | int, ...]
"""A way to a value: keys, and indices into arrays of tables, as ("examples", 2, "answer")."""

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'"
    r"|\#[^\n]*|\n|[ \t\r]+|[A-Za-z0-9_-]+|.",
    re.DOTALL,
)
_QUOTES = "\"'"


class _Statement(NamedTuple):
    line: int
    pieces: list[str]


def _statements(text: str) -> list[_Statement]:
    """The text cut into headers and assignments: a newline within brackets or a string ends none."""
    out: list[_Statement] = []
    pieces: list[str] = []
    line = start = 1
    depth = 0
    for match in _TOKEN.finditer(text):
        piece = match.group()
        if piece == "\n" and depth == 0:
            if pieces:
                out.append(_Statement(start, pieces))
            pieces = []
        elif piece.strip() and not piece.startswith("#"):
            if not pieces:
                start = line
            pieces.append(piece)
            depth += (piece in "[{") - (piece in "]}")
        line += piece.count("\n")
    if pieces:
        out.append(_Statement(start, pieces))
    return out


def _key(pieces: list[str]) -> tuple[str, ...]:
    """The parts of a dotted key."""
    return tuple(piece[1:-1] if piece[0] in _QUOTES else piece for piece in pieces if piece != ".")


def lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every table header and key, keys inside inline values left out."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for line, pieces in _statements(text):
        if pieces[0] != "[":
            end = pieces.index("=") if "=" in pieces else len(pieces)
            found.setdefault((*table, *_key(pieces[:end])), line)
            continue
        double = pieces[1:2] == ["["]
        names = _key([piece for piece in pieces if piece not in "[]"])
        table = ()
        for name in names[:-1]:
            table = (*table, name)
            if table in counts:
                table = (*table, counts[table] - 1)
        table = (*table, names[-1])
        if double:
            counts[table] = counts.get(table, 0) + 1
            table = (*table, counts[table] - 1)
        elif table in counts:
            table = (*table, counts[table] - 1)
        found.setdefault(table, line)
    return found


def line(found: dict[Path, int], path: Path) -> int:
    """The line of a value, or of the nearest thing around it that has one; 0 for the file itself."""
    while path:
        if path in found:
            return found[path]
        path = path[:-1]
    return 0
