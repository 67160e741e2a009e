"""Arithmetic of JSON documents: what extract does to the answers of the model.

It knows JSON and nothing of events.
"""

import json
import math
import sys
from typing import Any

DEPTH_MAX = 100
"""Lists and objects in each other. A schema may refer to itself, and a model may never come back."""


def parse(text: bytes) -> Any:
    """The document in an answer. Raises ValueError when it is not whole, or nested too deeply."""
    try:
        return _sound(json.loads(text.decode(), parse_constant=_no_json), DEPTH_MAX)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _sound(value: Any, depth: int) -> Any:
    """The value as all can write and read it: what JSON's grammar allows may have no UTF-8 (half of a
    surrogate pair becomes U+FFFD) or be no number (1e999 becomes the largest)."""
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {_text(key): _sound(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_sound(item, depth - 1) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return math.copysign(sys.float_info.max, value)
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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
