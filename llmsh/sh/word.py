"""Words: quotes, and the expansions within them, read into parts.

It knows where a word ends and nothing of tokens; for $(...) it calls the parser back. Source:
POSIX.1-2024, Shell Command Language, 2.2 and 2.6.
"""

from collections.abc import Callable

from llmsh.sh.ansi import ansi_c
from llmsh.sh.errors import ShellSyntaxError
from llmsh.sh.text import Text
from llmsh.sh.tree import Double, List, Literal, Parameter, Part, Quoted, Substitution, Word

META = frozenset(" \t\n;&|<>()")
_STOP = META | frozenset("\\'\"$`")
_SPECIAL = frozenset("@*#?-$!0123456789")


def is_name(text: str) -> bool:
    """Whether a variable may be called this."""
    return text.isascii() and text.isidentifier()


class Words(Text):
    """A text as words. `nested` reads the list of a $(...), with its closing parenthesis."""

    nested: "Callable[[Words], List]"

    def within(self, text: str, line: int) -> "Words":
        """A text inside this one: a here-document, a backquoted command."""
        inner = type(self)(text, line=line)
        inner.nested, inner.depth = self.nested, self.depth
        return inner

    def document(self) -> Word:
        """The rest of the text, read as a here-document's body is."""
        return Word((Double(self.quoted_parts("")),))

    def word(self) -> Word:
        """The word at hand; empty where none begins."""
        parts: list[Part] = []
        while (char := self.char()) and char not in META:
            parts.append(self._part(char))
        return Word(joined(parts))

    def _part(self, char: str, stop: frozenset[str] = _STOP) -> Part:
        """One part of a word outside double quotes."""
        if char == "'":
            return Quoted(self._single())
        if char == '"':
            self.take()
            return Double(self.quoted_parts('"'))
        if char == "$":
            return self._dollar(quoted=False)
        if char == "`":
            return self._backquote(quoted=False)
        if char == "\\":
            self.take()
            return Quoted(self.take()) if self.raw() else Literal("\\")
        start = self.pos
        text, end, size = self.text, start + 1, len(self.text)
        while end < size and text[end] not in stop:
            end += 1
        self.pos = end
        self.line += text.count("\n", start, end)
        return Literal(text[start:end])

    def _single(self) -> str:
        line = self.line
        self.take()
        start = self.pos
        while (end := self.text.find("'", self.pos)) < 0:
            self.pos = len(self.text)
            if not self.fill():
                raise ShellSyntaxError(line, "quote ' is not closed")
        self.pos = end + 1
        self.line += self.text.count("\n", start, end)
        return self.text[start:end]

    def quoted_parts(self, closing: str) -> tuple[Part, ...]:
        """Parts up to a closing double quote, or to the end for a here-document ("")."""
        line = self.line
        parts: list[Part] = []
        while char := self.char():
            if char == closing:
                self.take()
                return joined(parts)
            parts.append(self._quoted_part(char, '"' if closing else ""))
        if closing:
            raise ShellSyntaxError(line, f"quote {closing} is not closed")
        return joined(parts)

    def _quoted_part(self, char: str, quote: str) -> Part:
        if char == "$":
            return self._dollar(quoted=True)
        if char == "`":
            return self._backquote(quoted=True)
        if char == "\\":
            self.take()
            following = self.raw()
            if following and following in "$`\\" + quote:
                return Quoted(self.take())
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
        self.take()
        char = self.char()
        if char == "{":
            return self._brace(quoted)
        if char == "(":
            return self._parenthesis()
        if char == "'" and not quoted:
            return Quoted(self._ansi())
        if char in _SPECIAL and char:
            return Parameter(self.take())
        name = self._name()
        return Parameter(name) if name else (Quoted if quoted else Literal)("$")

    def _name(self) -> str:
        name = ""
        while (char := self.char()) and (char == "_" or (char.isascii() and char.isalnum())):
            if not name and char.isdigit():
                break
            name += self.take()
        return name

    def _ansi(self) -> str:
        line = self.line
        self.take()
        raw = ""
        while (char := self.raw()) != "'":
            if not char:
                raise ShellSyntaxError(line, "quote $' is not closed")
            raw += self.take()
            if char == "\\" and self.raw():
                raw += self.take()
        self.take()
        return ansi_c(raw)

    def _parenthesis(self) -> Part:
        line = self.line
        self.take()
        if self.raw() == "(":
            raise ShellSyntaxError(line, "$((...)): arithmetic is not in this version")
        self.deeper()
        body = self.nested(self)
        self.depth -= 1
        return Substitution(body)

    def _backquote(self, quoted: bool) -> Part:
        line = self.line
        self.take()
        text = ""
        while (char := self.raw()) != "`":
            if not char:
                raise ShellSyntaxError(line, "quote ` is not closed")
            self.take()
            if char == "\\" and (following := self.raw()) and following in ("$`\\" + ('"' if quoted else "")):
                char = self.take()
            text += char
        self.take()
        self.deeper()
        inner = self.within(text + "\n)", line)
        body = self.nested(inner)
        if inner.pos < len(inner.text):
            raise ShellSyntaxError(line, "syntax error near ')'")
        self.depth -= 1
        return Substitution(body)

    def _brace(self, quoted: bool) -> Part:
        line = self.line
        self.take()
        self.deeper()
        part = self._braced(line, quoted)
        self.depth -= 1
        return part

    def _braced(self, line: int, quoted: bool) -> Part:
        if self.char() == "#":
            self.take()
            if self.char() == "}":
                self.take()
                return Parameter("#")
            name = self._parameter_name(line)
            self._close_brace(line)
            return Parameter(name, "length")
        name = self._parameter_name(line)
        operator = ""
        if self.char() == ":":
            operator = self.take()
        char = self.char()
        if char and char in ("-=?+" if operator else "-=?+%#"):
            operator += self.take()
            if char in "%#" and self.char() == char:
                operator += self.take()
            return Parameter(name, operator, self._argument(line, quoted, pattern=char in "%#"))
        if operator:
            raise ShellSyntaxError(line, f"bad substitution ${{{name}:")
        self._close_brace(line)
        return Parameter(name)

    def _parameter_name(self, line: int) -> str:
        char = self.char()
        if char and char.isascii() and char.isdigit():
            digits = ""
            while (char := self.char()) and char.isascii() and char.isdigit():
                digits += self.take()
            return digits
        if char and char in "@*#?-$!":
            return self.take()
        name = self._name()
        if not name:
            raise ShellSyntaxError(line, "bad substitution ${" + self.raw().strip())
        return name

    def _close_brace(self, line: int) -> None:
        if self.char() != "}":
            found = self.raw().strip()
            raise ShellSyntaxError(line, "bad substitution: } expected" + (f", not {found!r}" if found else ""))
        self.take()

    def _argument(self, line: int, quoted: bool, pattern: bool) -> Word:
        parts: list[Part] = []
        stop = frozenset("}\\'\"$`")
        while (char := self.char()) != "}":
            if not char:
                raise ShellSyntaxError(line, "${ is not closed")
            if char == '"':
                self.take()
                parts.append(Double(self.quoted_parts('"')))
            elif quoted and not pattern:
                parts.append(self._quoted_part(char, '"}'))
            else:
                parts.append(self._part(char, stop))
        self.take()
        return Word(joined(parts))


def joined(parts: list[Part]) -> tuple[Part, ...]:
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
