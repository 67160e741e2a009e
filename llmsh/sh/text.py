"""A text read character by character, more of it fetched as needed: what the lexer stands on.

It knows lines and line continuations, and nothing of words.
"""

from collections.abc import Callable

from llmsh.sh.errors import ShellSyntaxError

NESTING_MAX = 64
"""Levels of $(...), ${...}, (...) and {...} within each other; each takes about 11 of Python's 1,000 frames."""


class Text:
    """`more` gives the next chunk of whole lines, or None at the end."""

    def __init__(self, text: str = "", more: Callable[[], str | None] | None = None, line: int = 1) -> None:
        self.text = text
        self.pos = 0
        self.line = line
        self.depth = 0
        self._more = more

    def fetch(self) -> str | None:
        """More, which is not kept; None at the end."""
        chunk = self._more() if self._more is not None else None
        if chunk is None:
            self._more = None
        return chunk

    def fill(self) -> bool:
        """Fetch more and keep it; False at the end."""
        chunk = self.fetch()
        if chunk is None:
            return False
        self.text += chunk
        return True

    def char(self) -> str:
        """The character at hand, line continuations skipped; empty at the end."""
        while True:
            if self.pos >= len(self.text) and not self.fill():
                return ""
            char = self.text[self.pos]
            if char != "\\":
                return char
            if self.pos + 1 >= len(self.text) and not self.fill():
                return char
            if self.text[self.pos + 1] != "\n":
                return char
            self.pos += 2
            self.line += 1

    def raw(self) -> str:
        """The character at hand as it stands."""
        return self.text[self.pos] if self.pos < len(self.text) or self.fill() else ""

    def take(self) -> str:
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
