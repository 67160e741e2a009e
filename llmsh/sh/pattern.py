"""Shell patterns: * ? [...] matched against a string. Source: POSIX.1-2024, 2.14.

A pattern is text in which a backslash makes the next character stand for itself. Matching takes at
most length times pattern steps: no pattern is a trap. It knows no files.
"""

from collections.abc import Callable
from functools import lru_cache

MARKS = frozenset("*?[")
_CLASSES: dict[str, Callable[[str], bool]] = {
    "alnum": str.isalnum,
    "alpha": str.isalpha,
    "blank": lambda c: c in " \t",
    "cntrl": lambda c: ord(c) < 32 or ord(c) == 127,
    "digit": lambda c: c in "0123456789",
    "graph": lambda c: c.isprintable() and c != " ",
    "lower": str.islower,
    "print": str.isprintable,
    "punct": lambda c: c.isascii() and c.isprintable() and not c.isalnum() and c != " ",
    "space": str.isspace,
    "upper": str.isupper,
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}

Test = Callable[[str], bool]
STAR = None
_Element = Test | str | None
"""A test of one character, the character itself, or STAR."""


def escape(text: str) -> str:
    """A pattern that matches exactly this text."""
    return "".join("\\" + c if c in "*?[]\\-!^" else c for c in text)


def unescape(pattern: str) -> str:
    """The text of a pattern without marks."""
    out, at = "", 0
    while at < len(pattern):
        if pattern[at] == "\\" and at + 1 < len(pattern):
            at += 1
        out += pattern[at]
        at += 1
    return out


def has_marks(pattern: str) -> bool:
    """Whether the pattern can match anything but one text."""
    return any(not isinstance(element, str) for element in compiled(pattern))


@lru_cache(maxsize=256)
def compiled(pattern: str) -> tuple[_Element, ...]:
    """The pattern as elements."""
    out: list[_Element] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\" and at < len(pattern):
            out.append(pattern[at])
            at += 1
        elif char == "*":
            if not out or out[-1] is not STAR:
                out.append(STAR)
        elif char == "?":
            out.append(_any)
        elif char == "[" and (bracket := _bracket(pattern, at)):
            test, at = bracket
            out.append(test)
        else:
            out.append(char)
    return tuple(out)


def _any(_char: str) -> bool:
    return True


def _bracket(pattern: str, at: int) -> tuple[Test, int] | None:
    """The bracket expression whose [ is before `at`, and the place after it; None if it has no ]."""
    negated = at < len(pattern) and pattern[at] in "!^"
    if negated:
        at += 1
    tests: list[Test] = []
    first = True
    while at < len(pattern) and (first or pattern[at] != "]"):
        first = False
        if pattern.startswith("[:", at) and (end := pattern.find(":]", at + 2)) > 0:
            tests.append(_CLASSES.get(pattern[at + 2 : end], lambda _: False))
            at = end + 2
            continue
        low, at = _one(pattern, at)
        high = low
        if pattern.startswith("-", at) and at + 1 < len(pattern) and pattern[at + 1] != "]":
            high, at = _one(pattern, at + 1)
        tests.append(_range(low, high))
    if at >= len(pattern):
        return None
    return (lambda c: any(test(c) for test in tests) != negated), at + 1


def _one(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\" and at + 1 < len(pattern):
        at += 1
    return pattern[at], at + 1


def _range(low: str, high: str) -> Test:
    return lambda c: low <= c <= high


def _fits(element: _Element, char: str) -> bool:
    if element is STAR:
        return False
    return element == char if isinstance(element, str) else element(char)


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches."""
    elements = compiled(pattern)
    at = here = 0
    star, mark = -1, 0
    while at < len(text):
        if here < len(elements) and elements[here] is STAR:
            star, mark = here, at
            here += 1
        elif here < len(elements) and _fits(elements[here], text[at]):
            here += 1
            at += 1
        elif star >= 0:
            mark += 1
            here, at = star + 1, mark
        else:
            return False
    return all(element is STAR for element in elements[here:])


def trim(pattern: str, text: str, end: bool, longest: bool) -> str:
    """The text without the shortest or longest match at its beginning or end: ${x#p} ${x%p}."""
    sizes = range(len(text), -1, -1) if longest else range(len(text) + 1)
    for size in sizes:
        piece = text[len(text) - size :] if end else text[:size]
        if matches(pattern, piece):
            return text[: len(text) - size] if end else text[size:]
    return text
