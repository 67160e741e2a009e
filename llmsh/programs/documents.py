"""Arithmetic of JSON documents: what extract does to the answers of the model.

It knows JSON and nothing of events.
"""

import json
import math
import sys
from typing import Any

SALVAGE_MAX = 8
"""Members dropped from a cut answer before it is given up."""

DEPTH_MAX = 100
"""Lists and objects in each other. A schema may refer to itself, and a model may never come back."""


def parse(text: bytes) -> Any:
    """The document in an answer; of a name that comes twice the first counts. Raises ValueError when
    it is not whole, or nested too deeply."""
    try:
        return _sound(json.loads(text.decode(), parse_constant=_no_json, object_pairs_hook=_first), DEPTH_MAX)
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


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in pairs:
        out.setdefault(name, value)
    return out


def salvage(text: bytes) -> Any:
    """What is whole in an answer that was cut: the last member or item is dropped until the rest,
    closed, is JSON. Raises ValueError when nothing is."""
    source = text.decode(errors="ignore")
    for _ in range(SALVAGE_MAX):
        source, comma, _rest = source.rpartition(", ")
        if not comma:
            break
        try:
            return parse((source + _closing(source)).encode())
        except ValueError:
            continue
    raise ValueError("nothing is whole")


def _closing(source: str) -> str:
    """The brackets that are open at the end; what looks like one in a string is found out by parsing."""
    open_: list[str] = []
    quoted = escaped = False
    for char in source:
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "[{":
            open_.append("]" if char == "[" else "}")
        elif char in "]}" and open_:
            open_.pop()
    return "".join(reversed(open_))


def names(schema: Any) -> set[str]:
    """The names of members that a schema speaks of."""
    if isinstance(schema, list):
        return set().union(*map(names, schema))
    if not isinstance(schema, dict):
        return set()
    properties = schema.get("properties")
    own = set(properties) if isinstance(properties, dict) else set()
    return own.union(*map(names, schema.values()))


def grounded(document: Any, text: str, known: set[str]) -> Any:
    """The document without the strings in its lists, and the names of members that are not `known`,
    that do not occur in the text."""
    if isinstance(document, dict):
        kept = {key: value for key, value in document.items() if key in known or (key.strip() and key in text)}
        return {key: grounded(value, text, known) for key, value in kept.items()}
    if isinstance(document, list):
        items = [item for item in document if not isinstance(item, str) or (item.strip() and item in text)]
        return _unique([grounded(item, text, known) for item in items])
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
