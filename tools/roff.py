"""Writes manual pages in roff with the man macros. Source: man(7), groff_man(7).

It knows text and no page. In texts, `words` become bold, an empty line starts a paragraph, and lines that begin
with four spaces stay as they are.
"""

import re

from llmsh.abi.version import BUILD


def escaped(text: str) -> str:
    """Text with what roff would read as its own made harmless."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha")
    return text.replace("~", "\\(ti")


def inline(text: str) -> str:
    """A line of text; `words` in bold."""
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fR", escaped(text))


def _safe(line: str) -> str:
    """No line of text may begin as a macro does."""
    return f"\\&{line}" if line[:1] in ".'" else line


def paragraphs(text: str) -> list[str]:
    """The lines of a text of several paragraphs and examples."""
    out: list[str] = []
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        if all(line.startswith("    ") for line in block.splitlines()):
            out += [".PP", ".RS 4", ".EX", *(_safe(escaped(line[4:])) for line in block.splitlines()), ".EE", ".RE"]
        else:
            words = " ".join(line.strip() for line in block.splitlines())
            out += [".PP", *(_safe(line) for line in _sentences(inline(words)))]
    return out


def _sentences(text: str) -> list[str]:
    """A line for each sentence: roff then spaces them itself, and a diff shows the sentence that changed."""
    return re.split(r"(?<=[.;:]) (?=[A-Z\\(])", text)


class Page:
    """One page as it grows."""

    def __init__(self, name: str, section: int, title: str = "") -> None:
        self.lines = [
            '.\\" Made by tools/man.py: change the table or the text it is made from, then `make man`.',
            f'.TH {escaped(name.upper())} {section} "" "llm\\-sh {BUILD}" "{title or _TITLES[section]}"',
        ]

    def section(self, name: str) -> None:
        """A heading."""
        self.lines.append(f".SH {escaped(name.upper())}")

    def name(self, name: str, summary: str) -> None:
        """The NAME section, as whatis(1) reads it."""
        self.section("name")
        self.lines.append(f"{escaped(name)} \\- {escaped(summary)}")

    def text(self, text: str) -> None:
        """Paragraphs."""
        lines = paragraphs(text)
        # Right after a heading a paragraph has begun already.
        self.lines += lines[1:] if self.lines[-1].startswith(".SH") and lines[0] == ".PP" else lines

    def item(self, tag: str, text: str) -> None:
        """A tagged paragraph; the tag may have `bold` words."""
        self.lines += [".TP", inline(tag), *paragraphs(text)[1:]]

    def done(self) -> str:
        """The whole page."""
        return "\n".join(self.lines) + "\n"


_TITLES = {
    1: "Commands",
    2: "System calls",
    5: "File formats",
    7: "Overview",
    8: "System administration",
}
