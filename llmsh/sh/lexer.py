"""From characters to tokens: operators, newlines, words in parts, here-documents.

It asks for more text only when a token needs it, so that one mechanism serves files, a terminal and
a standard input that commands share. It knows nothing of grammar. Source: POSIX.1-2024, Shell Command
Language, 2.3 and 2.10.1.
"""

from collections.abc import Callable
from typing import NamedTuple

from llmsh.sh.errors import ShellSyntaxError
from llmsh.sh.tree import Double, Here, Literal, Parameter, Quoted, Word
from llmsh.sh.word import META, Words

WORD, NUMBER, OPERATOR, NEWLINE, END = "word", "number", "operator", "newline", "end"
OPERATORS = frozenset(("&&", "||", ";;", "<<", "<<-", ">>", "<&", ">&", "<>", ">|", "&", "|", ";", "<", ">", "(", ")"))


class Token(NamedTuple):
    """`text` is the operator, or the word as it was written."""

    kind: str
    text: str
    word: Word
    line: int
    start: int


class _Wanted(NamedTuple):
    here: Here
    delimiter: str
    strip: bool
    quoted: bool
    line: int


class Lexer(Words):
    """Text in, tokens out."""

    def __init__(self, text: str = "", more: Callable[[], str | None] | None = None, line: int = 1) -> None:
        super().__init__(text, more, line)
        self._wanted: list[_Wanted] = []

    def next(self) -> Token:
        """The next token."""
        char = self.char()
        while char in (" ", "\t"):
            self.pos += 1
            char = self.char()
        if char == "#":
            while self.raw() not in ("", "\n"):
                end = self.text.find("\n", self.pos)
                self.pos = end if end >= 0 else len(self.text)
            char = self.raw()
        start, line = self.pos, self.line
        if char == "":
            return Token(END, "", Word(()), line, start)
        if char == "\n":
            self.take()
            self._bodies()
            return Token(NEWLINE, "\n", Word(()), line, start)
        if char in META:
            return Token(OPERATOR, self._operator(), Word(()), line, start)
        word = self.word()
        raw = self.text[start : self.pos]
        if raw.isascii() and raw.isdigit() and self.char() in ("<", ">"):
            return Token(NUMBER, raw, word, line, start)
        return Token(WORD, raw, word, line, start)

    def _operator(self) -> str:
        text = self.take()
        while (char := self.char()) and text + char in OPERATORS:
            text += self.take()
        return text

    def want_here(self, word: Word, strip: bool) -> Here:
        """A here-document was announced: its body follows the line."""
        quoted = any(not isinstance(part, Literal) for part in word.parts)
        here = Here()
        self._wanted.append(_Wanted(here, _plain(word, self.line), strip, quoted, self.line))
        return here

    def _bodies(self) -> None:
        wanted, self._wanted = self._wanted, []
        for item in wanted:
            item.here.body = self._body(item)

    def _body(self, item: _Wanted) -> Word:
        start = self.line
        lines: list[str] = []
        while True:
            line = self._line()
            if not line:
                raise ShellSyntaxError(item.line, f"here-document without its end {item.delimiter!r}")
            self.line += 1
            if item.strip:
                line = line.lstrip("\t")
            if line.removesuffix("\n") == item.delimiter:
                break
            lines.append(line)
        text = "".join(lines)
        if item.quoted:
            return Word((Quoted(text),))
        return self.within(text, start).document()

    def _line(self) -> str:
        """A whole line as it stands; empty at the end."""
        if self.pos >= len(self.text):
            chunk = self.fetch() or ""
            if "\n" not in chunk[:-1]:
                return chunk  # not kept, or each line of a long body would copy all those before it
            self.text += chunk
        end = self.text.find("\n", self.pos) + 1 or len(self.text)
        line = self.text[self.pos : end]
        self.pos = end
        return line


def _plain(word: Word, line: int) -> str:
    """The delimiter of a here-document: the word without its quotes, never expanded."""
    text = ""
    for part in word.parts:
        if isinstance(part, Double):
            text += _plain(Word(part.parts), line)
        elif isinstance(part, Literal | Quoted):
            text += part.text
        elif isinstance(part, Parameter) and not part.operator:
            text += "$" + part.name
        else:
            raise ShellSyntaxError(line, "the end of a here-document cannot be an expansion")
    return text
