"""Pathname expansion: the files that a pattern matches. Source: POSIX.1-2024, 2.14.3.

It knows folders and patterns, and no words.
"""

import os

from llmsh.sh.pattern import has_marks, matches, unescape

MATCHES_MAX = 1_000_000


def glob(pattern: str) -> list[str]:
    """Names of the files that match, sorted; empty if none does."""
    parts = _components(pattern)
    found = [""]
    for index, (piece, slashes) in enumerate(parts):
        last = index == len(parts) - 1
        found = [path for base in found for path in _step(base, piece, slashes, last)][:MATCHES_MAX]
        if not found:
            return []
    return sorted(found)


def _components(pattern: str) -> list[tuple[str, str]]:
    """(component, the slashes after it) pairs; a leading slash is an empty component's."""
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(pattern):
        end = at
        while end < len(pattern) and pattern[end] != "/":
            end += 2 if pattern[end] == "\\" else 1
        rest = end
        while rest < len(pattern) and pattern[rest] == "/":
            rest += 1
        parts.append((pattern[at:end], pattern[end:rest]))
        at = rest
    return parts


def _step(base: str, piece: str, slashes: str, last: bool) -> list[str]:
    """The paths that one component adds to one base."""
    if not has_marks(piece):
        path = base + unescape(piece)
        if last and not slashes:
            return [path] if os.path.lexists(path or ".") else []
        return [path + slashes] if not piece or os.path.isdir(path) else []
    hidden = unescape(piece[:2]).startswith(".")
    try:
        with os.scandir(base or ".") as entries:
            names = [e.name for e in entries if _fits(e, piece, hidden, bool(slashes))]
    except OSError:
        return []
    return [base + name + slashes for name in names]


def _fits(entry: "os.DirEntry[str]", piece: str, hidden: bool, folder: bool) -> bool:
    if entry.name.startswith(".") and not hidden:
        return False
    if not matches(piece, entry.name):
        return False
    try:
        return not folder or entry.is_dir()
    except OSError:
        return False
