"""Arithmetic of JSON documents: what extract does to the answers of the model.

It knows JSON and nothing of events.
"""

import json
from typing import Any


def parse(text: bytes) -> Any:
    """The document in an answer. Raises ValueError when it is not whole."""
    try:
        return json.loads(text.decode())
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def grounded(document: Any, text: str) -> Any:
    """The document without the strings in its lists that do not occur in the text."""
    if isinstance(document, dict):
        return {key: grounded(value, text) for key, value in document.items()}
    if isinstance(document, list):
        kept = [item for item in document if not isinstance(item, str) or (item.strip() and item in text)]
        return _unique([grounded(item, text) for item in kept])
    return document


def merged(first: Any, second: Any) -> Any:
    """Two documents of one schema as one: lists joined, a value that is there kept."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {
            **second,
            **{key: merged(value, second[key]) if key in second else value for key, value in first.items()},
        }
    if isinstance(first, list) and isinstance(second, list):
        return _unique([*first, *second])
    return first if first not in (None, "") else second


def _unique(values: list[Any]) -> list[Any]:
    """Each value once, in order."""
    out: list[Any] = []
    for value in values:
        if value not in out:
            out.append(value)
    return out


def line(document: Any) -> str:
    """The document on one line."""
    return json.dumps(document, ensure_ascii=False, separators=(", ", ": "))
