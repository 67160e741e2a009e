"""One line of the table: what was measured, against which target, and what came out."""

from typing import Any, NamedTuple

OK, SHORT, NOTE, SKIPPED, FAILED = "ok", "short", "-", "skipped", "failed"


class Row(NamedTuple):
    """`verdict` is OK, SHORT (of the target), NOTE (there is no target), SKIPPED, or FAILED (half way)."""

    name: str
    target: str
    value: str
    verdict: str
    data: dict[str, Any]
    """For JSON: every number behind the value."""


class Skipped(Exception):  # how a row ends, not an error
    """The row cannot be measured here; the text says why, in one line."""


def judged(name: str, target: str, value: str, good: bool, data: dict[str, Any]) -> Row:
    """A row with a target; without the text of one it is a note."""
    return Row(name, target, value, NOTE if not target else OK if good else SHORT, data)
