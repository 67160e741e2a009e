"""Texts with holes: {input} and the names of a unit's options, filled in one pass.

A hole is a name in braces; {{name}} stands for the text {name}; all other braces are text, since
prompts show JSON. What is filled in is never looked at again.
"""

import re
from collections.abc import Callable, Mapping

_HOLE = re.compile(r"\{\{([a-z][a-z0-9_-]*)\}\}|\{([a-z][a-z0-9_-]*)\}")

INPUT = "input"
"""The hole for the user's text."""


def holes(text: str) -> list[str]:
    """The names in braces, in order."""
    return [match.group(2) for match in _HOLE.finditer(text) if match.group(2)]


def fill(text: str, values: Mapping[str, object]) -> str:
    """The text with every hole that has a value filled."""

    def one(match: re.Match[str]) -> str:
        if match.group(1):
            return "{" + match.group(1) + "}"
        name = match.group(2)
        return str(values[name]) if name in values else match.group()

    replace: Callable[[re.Match[str]], str] = one
    return _HOLE.sub(replace, text)
