"""From characters to tokens: operators, newlines, words in parts, here-documents.

It asks for more text only when a token needs it, so that one mechanism serves files, a terminal and
a standard input that commands share. It knows quoting and nothing of grammar; for $(...) it calls
the parser back. Source: POSIX.1-2024, Shell Command Language, 2.2 to 2.3 and 2.10.1.
"""

from collections.abc import Callable
from typing import NamedTuple

from llmsh.sh.ansi import ansi_c
from llmsh.sh.errors import ShellSyntaxError
from llmsh.sh.tree import Double, Here, List, Literal, Parameter, Part, Quoted, Substitution, Word

WORD, NUMBER, OPERATOR, NEWLINE, END = "word", "number", "operator", "newline", "end"
OPERATORS = frozenset(("&&", "||", ";;", "<<", "<<-", ">>", "<&", ">&", "<>", ">|", "&", "|", ";", "<", ">", "(", ")"))
_META = frozenset(" \t\n;&|<>()")
_STOP = _META | frozenset("\\'\"$`")
_SPECIAL = frozenset("@*#?-$!0123456789")
NESTING_MAX = 150
"""Levels of $(...), ${...}, (...) and {...} within each other."""


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


def is_name(text: str) -> bool:
    """Whether a variable may be called this."""
    return text.isascii() and text.isidentifier()


class Lexer:
    """Text in, tokens out. `more` gives the next chunk of whole lines, or None at the end."""

    def __init__(self, text: str = "", more: Callable[[], str | None] | None = None, line: int = 1) -> None:
        self.text = text
        self.pos = 0
        self.line = line
        self.depth = 0
        self._more = more
        self._wanted: list[_Wanted] = []
        self.nested: Callable[[Lexer], List] = _no_parser

    # Characters.

    def _fill(self) -> bool:
        chunk = self._more() if self._more is not None else None
        if chunk is None:
            self._more = None
            return False
        self.text += chunk
        return True

    def _char(self) -> str:
        """The character at hand, line continuations skipped; empty at the end."""
        while True:
            if self.pos >= len(self.text) and not self._fill():
                return ""
            char = self.text[self.pos]
            if char != "\\":
                return char
            if self.pos + 1 >= len(self.text) and not self._fill():
                return char
            if self.text[self.pos + 1] != "\n":
                return char
            self.pos += 2
            self.line += 1

    def _raw(self) -> str:
        """The character at hand as it stands."""
        return self.text[self.pos] if self.pos < len(self.text) or self._fill() else ""

    def _take(self) -> str:
        """The character at hand, which is left behind. Only after _char or _raw said there is one."""
        char = self.text[self.pos]
        self.pos += 1
        if char == "\n":
            self.line += 1
        return char

    def deeper(self) -> None:
        """Count one level of nesting; `depth -= 1` ends it."""
        self.depth += 1
        if self.depth > NESTING_MAX:
            raise ShellSyntaxError(self.line, f"nested more than {NESTING_MAX} levels deep")

    def forget(self) -> None:
        """Drop text that has been used; called between commands, when no token is held."""
        if self.pos > 65536 and self.pos * 2 > len(self.text):
            self.text = self.text[self.pos :]
            self.pos = 0

    def skip_line(self) -> None:
        """After an error on a terminal: forget everything that was read."""
        self.pos = len(self.text)
        self._wanted.clear()
        self.depth = 0

    # Tokens.

    def next(self) -> Token:
        """The next token."""
        char = self._char()
        while char in (" ", "\t"):
            self.pos += 1
            char = self._char()
        if char == "#":
            while self._raw() not in ("", "\n"):
                end = self.text.find("\n", self.pos)
                self.pos = end if end >= 0 else len(self.text)
            char = self._raw()
        start, line = self.pos, self.line
        if char == "":
            return Token(END, "", Word(()), line, start)
        if char == "\n":
            self._take()
            self._bodies()
            return Token(NEWLINE, "\n", Word(()), line, start)
        if char in _META:
            return Token(OPERATOR, self._operator(), Word(()), line, start)
        word = self._word()
        raw = self.text[start : self.pos]
        if raw.isascii() and raw.isdigit() and self._char() in ("<", ">"):
            return Token(NUMBER, raw, word, line, start)
        return Token(WORD, raw, word, line, start)

    def _operator(self) -> str:
        text = self._take()
        while (char := self._char()) and text + char in OPERATORS:
            text += self._take()
        return text

    def want_here(self, word: Word, strip: bool) -> Here:
        """A here-document was announced: its body follows the line."""
        quoted = any(not isinstance(part, Literal) for part in word.parts)
        here = Here()
        self._wanted.append(_Wanted(here, _plain(word, self.line), strip, quoted))
        return here

    def _bodies(self) -> None:
        wanted, self._wanted = self._wanted, []
        for item in wanted:
            item.here.body = self._body(item)

    def _body(self, item: _Wanted) -> Word:
        start = self.line
        lines: list[str] = []
        while True:
            if self._raw() == "":
                raise ShellSyntaxError(start, f"here-document without its end {item.delimiter!r}")
            end = self.text.find("\n", self.pos)
            end = len(self.text) if end < 0 else end + 1
            line = self.text[self.pos : end]
            self.pos = end
            self.line += 1
            if item.strip:
                line = line.lstrip("\t")
            if line.removesuffix("\n") == item.delimiter:
                break
            lines.append(line)
        text = "".join(lines)
        if item.quoted:
            return Word((Quoted(text),))
        inner = Lexer(text, line=start)
        inner.nested, inner.depth = self.nested, self.depth
        return inner.document()

    def document(self) -> Word:
        """The rest of the text, read as a here-document's body is."""
        return Word((Double(self._quoted_parts("")),))

    # Words.

    def _word(self) -> Word:
        parts: list[Part] = []
        while (char := self._char()) and char not in _META:
            parts.append(self._part(char))
        return Word(_joined(parts))

    def _part(self, char: str, stop: frozenset[str] = _STOP) -> Part:
        """One part of a word outside double quotes."""
        if char == "'":
            return Quoted(self._single())
        if char == '"':
            self._take()
            return Double(self._quoted_parts('"'))
        if char == "$":
            return self._dollar(quoted=False)
        if char == "`":
            return self._backquote(quoted=False)
        if char == "\\":
            self._take()
            return Quoted(self._take()) if self._raw() else Literal("\\")
        start = self.pos
        text, end, size = self.text, start + 1, len(self.text)
        while end < size and text[end] not in stop:
            end += 1
        self.pos = end
        self.line += text.count("\n", start, end)
        return Literal(text[start:end])

    def _single(self) -> str:
        line = self.line
        self._take()
        start = self.pos
        while (end := self.text.find("'", self.pos)) < 0:
            self.pos = len(self.text)
            if not self._fill():
                raise ShellSyntaxError(line, "quote ' is not closed")
        self.pos = end + 1
        self.line += self.text.count("\n", start, end)
        return self.text[start:end]

    def _quoted_parts(self, closing: str) -> tuple[Part, ...]:
        """Parts up to a closing double quote, or to the end for a here-document ("")."""
        line = self.line
        parts: list[Part] = []
        while char := self._char():
            if char == closing:
                self._take()
                return _joined(parts)
            parts.append(self._quoted_part(char, '"' if closing else ""))
        if closing:
            raise ShellSyntaxError(line, f"quote {closing} is not closed")
        return _joined(parts)

    def _quoted_part(self, char: str, quote: str) -> Part:
        if char == "$":
            return self._dollar(quoted=True)
        if char == "`":
            return self._backquote(quoted=True)
        if char == "\\":
            self._take()
            following = self._raw()
            if following and following in "$`\\" + quote:
                return Quoted(self._take())
            return Quoted("\\")
        start = self.pos
        text, end, size = self.text, start + 1, len(self.text)
        while end < size and text[end] not in '$`\\"}':
            end += 1
        self.pos = end
        self.line += text.count("\n", start, end)
        return Quoted(text[start:end])

    # Expansions.

    def _dollar(self, quoted: bool) -> Part:
        self._take()
        char = self._char()
        if char == "{":
            return self._brace(quoted)
        if char == "(":
            return self._parenthesis()
        if char == "'" and not quoted:
            return Quoted(self._ansi())
        if char in _SPECIAL and char:
            return Parameter(self._take())
        name = self._name()
        return Parameter(name) if name else (Quoted if quoted else Literal)("$")

    def _name(self) -> str:
        name = ""
        while (char := self._char()) and (char == "_" or (char.isascii() and char.isalnum())):
            if not name and char.isdigit():
                break
            name += self._take()
        return name

    def _ansi(self) -> str:
        line = self.line
        self._take()
        raw = ""
        while (char := self._raw()) != "'":
            if not char:
                raise ShellSyntaxError(line, "quote $' is not closed")
            raw += self._take()
            if char == "\\" and self._raw():
                raw += self._take()
        self._take()
        return ansi_c(raw)

    def _parenthesis(self) -> Part:
        line = self.line
        self._take()
        if self._raw() == "(":
            raise ShellSyntaxError(line, "$((...)): arithmetic is not in this version")
        self.deeper()
        body = self.nested(self)
        self.depth -= 1
        return Substitution(body)

    def _backquote(self, quoted: bool) -> Part:
        line = self.line
        self._take()
        text = ""
        while (char := self._raw()) != "`":
            if not char:
                raise ShellSyntaxError(line, "quote ` is not closed")
            self._take()
            if char == "\\" and (following := self._raw()) and following in ("$`\\" + ('"' if quoted else "")):
                char = self._take()
            text += char
        self._take()
        self.deeper()
        inner = Lexer(text + "\n)", line=line)
        inner.nested, inner.depth = self.nested, self.depth
        body = self.nested(inner)
        if inner.pos < len(inner.text):
            raise ShellSyntaxError(line, "syntax error near ')'")
        self.depth -= 1
        return Substitution(body)

    def _brace(self, quoted: bool) -> Part:
        line = self.line
        self._take()
        self.deeper()
        part = self._braced(line, quoted)
        self.depth -= 1
        return part

    def _braced(self, line: int, quoted: bool) -> Part:
        if self._char() == "#":
            self._take()
            if self._char() == "}":
                self._take()
                return Parameter("#")
            name = self._parameter_name(line)
            self._close_brace(line)
            return Parameter(name, "length")
        name = self._parameter_name(line)
        operator = ""
        if self._char() == ":":
            operator = self._take()
        char = self._char()
        if char and char in ("-=?+" if operator else "-=?+%#"):
            operator += self._take()
            if char in "%#" and self._char() == char:
                operator += self._take()
            return Parameter(name, operator, self._argument(line, quoted, pattern=char in "%#"))
        if operator:
            raise ShellSyntaxError(line, f"bad substitution ${{{name}:")
        self._close_brace(line)
        return Parameter(name)

    def _parameter_name(self, line: int) -> str:
        char = self._char()
        if char and char.isascii() and char.isdigit():
            digits = ""
            while (char := self._char()) and char.isascii() and char.isdigit():
                digits += self._take()
            return digits
        if char and char in "@*#?-$!":
            return self._take()
        name = self._name()
        if not name:
            raise ShellSyntaxError(line, "bad substitution ${" + self._raw().strip())
        return name

    def _close_brace(self, line: int) -> None:
        if self._char() != "}":
            raise ShellSyntaxError(line, "bad substitution: } expected" + (f", not {self._raw()!r}" if self._raw().strip() else ""))
        self._take()

    def _argument(self, line: int, quoted: bool, pattern: bool) -> Word:
        parts: list[Part] = []
        stop = frozenset("}\\'\"$`")
        while (char := self._char()) != "}":
            if not char:
                raise ShellSyntaxError(line, "${ is not closed")
            if char == '"':
                self._take()
                parts.append(Double(self._quoted_parts('"')))
            elif quoted and not pattern:
                parts.append(self._quoted_part(char, '"}'))
            else:
                parts.append(self._part(char, stop))
        self._take()
        return Word(_joined(parts))


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbouring literals, and neighbouring quoted pieces, as one."""
    out: list[Part] = []
    for part in parts:
        last = out[-1] if out else None
        if isinstance(part, Literal) and isinstance(last, Literal):
            out[-1] = Literal(last.text + part.text)
        elif isinstance(part, Quoted) and isinstance(last, Quoted):
            out[-1] = Quoted(last.text + part.text)
        else:
            out.append(part)
    return tuple(out)


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


def _no_parser(lexer: Lexer) -> List:
    raise ShellSyntaxError(lexer.line, "$(...) needs the parser")
