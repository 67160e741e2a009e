"""Words become fields: tilde, parameters, command substitution, splitting, pathnames, quotes.

It knows words and the shell's parameters; how a substitution is run it is told. Source: POSIX.1-2024,
Shell Command Language, 2.6.
"""

import os
from collections.abc import Iterable
from typing import Protocol

from llmsh.sh import pattern
from llmsh.sh.errors import ExpansionError
from llmsh.sh.glob import glob
from llmsh.sh.tree import Double, List, Literal, Parameter, Part, Quoted, Word
from llmsh.sh.word import is_name

_WHITE = " \t\n"
Run = tuple[str, bool]
"""(text, quoted)"""


class Context(Protocol):
    """What expansion asks of the shell."""

    def parameter(self, name: str) -> str | None:
        """The value of a variable or a special parameter other than @ and *; None when unset."""

    def positional(self) -> list[str]:
        """$1 and up."""

    def assign(self, name: str, value: str) -> None:
        """Set a variable."""

    def option(self, letter: str) -> bool:
        """Whether an option of `set` is on."""

    def capture(self, body: List) -> str:
        """The output of a command substitution, as it came."""


class _Joiner:
    """Collects one text; quotes matter for patterns only."""

    def __init__(self, separator: str) -> None:
        self.runs: list[Run] = []
        self._separator = separator

    def add(self, text: str, quoted: bool) -> None:
        self.runs.append((text, quoted))

    def split(self, text: str) -> None:
        self.runs.append((text, False))

    def cut(self) -> None:
        self.runs.append((self._separator, True))


class _Splitter:
    """Collects fields. A field exists once something, even an empty quoted text, was added."""

    def __init__(self, ifs: str) -> None:
        self.fields: list[list[Run]] = []
        self._open: list[Run] | None = None
        self._white = [c for c in ifs if c in _WHITE]
        self._ifs = ifs
        self._spaced = False

    def add(self, text: str, quoted: bool) -> None:
        if text or quoted:
            if self._open is None:
                self._open = []
            self._open.append((text, quoted))
            self._spaced = False

    def cut(self) -> None:
        if self._open is not None:
            self.fields.append(self._open)
            self._open = None

    def split(self, text: str) -> None:
        start = 0
        for at, char in enumerate(text):
            if char not in self._ifs:
                continue
            self.add(text[start:at], False)
            start = at + 1
            self._delimit(char)
        self.add(text[start:], False)

    def _delimit(self, char: str) -> None:
        if char in self._white:
            self._spaced = self._spaced or self._open is not None
            self.cut()
        elif self._open is None and self._spaced:
            self._spaced = False
        else:
            self.add("", True)
            self.cut()


class Expander:
    """Expansion in one shell."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def fields(self, words: Iterable[Word]) -> list[str]:
        """The arguments that words become."""
        out: list[str] = []
        for word in words:
            splitter = _Splitter(self._ifs())
            self._word(word, splitter)
            splitter.cut()
            for field in splitter.fields:
                out += self._paths(field)
        return out

    def text(self, word: Word, assignment: bool = False) -> str:
        """One text: no splitting, no pathnames."""
        joiner = _Joiner(" ")
        self._word(word, joiner, assignment)
        return "".join(text for text, _ in joiner.runs)

    def pattern(self, word: Word) -> str:
        """A pattern in which what was quoted stands for itself."""
        joiner = _Joiner(" ")
        self._word(word, joiner)
        return "".join(pattern.escape(text) if quoted else text for text, quoted in joiner.runs)

    def _ifs(self) -> str:
        value = self._context.parameter("IFS")
        return _WHITE if value is None else value

    def _paths(self, field: list[Run]) -> list[str]:
        plain = "".join(text for text, _ in field)
        if self._context.option("f") or not any(not quoted and pattern.MARKS & set(text) for text, quoted in field):
            return [plain]
        return glob("".join(pattern.escape(text) if quoted else text for text, quoted in field)) or [plain]

    # Words and parts.

    def _word(self, word: Word, out: "_Joiner | _Splitter", assignment: bool = False) -> None:
        for index, part in enumerate(word.parts):
            if isinstance(part, Literal):
                self._literal(part.text, index == 0, len(word.parts) == index + 1, out, assignment)
            else:
                self._part(part, out)

    def _literal(self, text: str, first: bool, last: bool, out: "_Joiner | _Splitter", assignment: bool) -> None:
        pieces = text.split(":") if assignment else [text]
        for index, piece in enumerate(pieces):
            if index:
                out.add(":", False)
            whole = last or index < len(pieces) - 1 or "/" in piece
            if piece.startswith("~") and (first or index) and whole:
                head, slash, tail = piece.partition("/")
                home = self._home(head[1:])
                out.add(head if home is None else home, home is not None)
                out.add(slash + tail, False)
            else:
                out.add(piece, False)

    def _home(self, user: str) -> str | None:
        if not user:
            return self._context.parameter("HOME")
        path = os.path.expanduser("~" + user)
        return None if path.startswith("~") else path

    def _part(self, part: Part, out: "_Joiner | _Splitter") -> None:
        if isinstance(part, Literal):
            out.split(part.text)
        elif isinstance(part, Quoted):
            out.add(part.text, True)
        elif isinstance(part, Double):
            self._double(part, out)
        elif isinstance(part, Parameter):
            self._parameter(part, out, quoted=False)
        else:
            out.split(self._captured(part.body))

    def _double(self, double: Double, out: "_Joiner | _Splitter") -> None:
        if not double.parts:
            out.add("", True)
        for part in double.parts:
            if isinstance(part, Parameter):
                self._parameter(part, out, quoted=True)
            elif isinstance(part, Literal | Quoted):
                out.add(part.text, True)
            elif isinstance(part, Double):
                self._double(part, out)
            else:
                out.add(self._captured(part.body), True)

    def _captured(self, body: List) -> str:
        return self._context.capture(body).replace("\0", "").rstrip("\n")

    # Parameters.

    def _parameter(self, part: Parameter, out: "_Joiner | _Splitter", quoted: bool) -> None:
        if part.name in ("@", "*") and part.operator != "length":
            self._all(part, out, quoted)
            return
        value = self._value(part.name)
        if part.operator == "length":
            out.add(str(len(self._demand(part.name, value))), quoted)
            return
        if part.operator[:1] in ("%", "#"):
            value = self._trimmed(part, self._demand(part.name, value))
        elif part.operator:
            missing = value is None or (part.operator.startswith(":") and not value)
            if self._replaced(part, missing, out, quoted):
                return
            value = self._value(part.name) or ""
        text = self._demand(part.name, value)
        out.add(text, True) if quoted else out.split(text)

    def _value(self, name: str) -> str | None:
        if name in ("@", "*"):
            values = self._context.positional()
            return " ".join(values) if values else None
        return self._context.parameter(name)

    def _demand(self, name: str, value: str | None) -> str:
        if value is None and self._context.option("u") and name not in ("@", "*"):
            raise ExpansionError(f"{name}: not set")
        return value or ""

    def _trimmed(self, part: Parameter, text: str) -> str:
        mark = part.operator
        return pattern.trim(self.pattern(part.argument or Word(())), text, end=mark[0] == "%", longest=len(mark) == 2)

    def _replaced(self, part: Parameter, missing: bool, out: "_Joiner | _Splitter", quoted: bool) -> bool:
        """Do what - = ? + ask for; True when that gave the expansion."""
        argument = part.argument or Word(())
        kind = part.operator[-1]
        if kind == "+":
            if not missing:
                self._insert(argument, out, quoted)
            elif quoted:
                out.add("", True)
            return True
        if not missing:
            return False
        if kind == "-":
            self._insert(argument, out, quoted)
            return True
        if kind == "=":
            if not is_name(part.name):
                raise ExpansionError(f"{part.name}: cannot be assigned")
            self._context.assign(part.name, self.text(argument))
            return False
        raise ExpansionError(f"{part.name}: {self.text(argument) or 'not set'}")

    def _insert(self, word: Word, out: "_Joiner | _Splitter", quoted: bool) -> None:
        if quoted:
            self._double(Double(word.parts), out)
            return
        for index, part in enumerate(word.parts):
            if index == 0 and isinstance(part, Literal) and part.text.startswith("~"):
                self._literal(part.text, True, len(word.parts) == 1, out, False)
            else:
                self._part(part, out)

    def _all(self, part: Parameter, out: "_Joiner | _Splitter", quoted: bool) -> None:
        values = self._context.positional()
        if part.operator and part.operator[0] in "%#":
            values = [self._trimmed(part, value) for value in values]
        elif part.operator:
            missing = not values or (part.operator.startswith(":") and not "".join(values))
            if self._replaced(part, missing, out, quoted):
                return
        if part.name == "*" and quoted:
            ifs = self._ifs()
            out.add(ifs[:1].join(values), True)
            return
        for index, value in enumerate(values):
            if index:
                out.cut()
            out.add(value, True) if quoted else out.split(value)
