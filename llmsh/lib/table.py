"""Rows in aligned columns, as procps prints them: cut to the width, the last column free.

It knows widths and alignment and nothing of what is shown.
"""

from llmsh.abi.light import NamedTuple, Sequence


class Column(NamedTuple):
    """One column: an empty header hides it (ps -o pid=), `right` aligns numbers."""

    header: str
    right: bool = False
    width: int = 0


def columns_of(text: str) -> int:
    """Terminal columns that a text takes: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, width: int) -> str:
    """As much of the text as fits the width."""
    if columns_of(text) <= width:
        return text
    while columns_of(text) > width:
        text = text[: max(0, min(len(text) - 1, width))]
    return text


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * max(0, width - columns_of(text))
    return space + text if right else text + space


def lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int = 0, header: bool = True
) -> list[str]:
    """The table's lines. `width` 0 cuts nothing. A cell's newlines and tabs become spaces."""
    cells = [[" ".join(cell.split("\n")).replace("\t", " ") for cell in row] for row in rows]
    if header and any(column.header for column in columns):
        cells.insert(0, [column.header for column in columns])
    widths = [
        max([column.width, *(columns_of(row[at]) for row in cells)], default=0) for at, column in enumerate(columns)
    ]
    out = []
    for row in cells:
        parts = [
            row[at] if at == len(columns) - 1 and not column.right else _pad(row[at], widths[at], column.right)
            for at, column in enumerate(columns)
        ]
        text = " ".join(parts)
        out.append((cut(text, width) if width else text).rstrip())
    return out
