"""A JSON schema made a grammar of the fake model: the smallest document that the schema allows.

It knows a few keywords only; any other is refused with its path, as the real compiler does.
"""

import json
from typing import Any

from llmsh.drivers.faketext import JSON_GRAMMAR

_KNOWN = {"type", "properties", "required", "items", "enum", "const", "title", "description", "additionalProperties"}
_LEAVES: dict[str, Any] = {"string": "word", "integer": 1, "number": 1.5, "boolean": True, "null": None}


def smallest(schema: Any, path: str = "") -> Any:
    """A value that the schema allows. ValueError with the path of what is not supported."""
    if type(schema) is not dict:
        raise ValueError(f"schema: {path or '/'}: not a schema (an object or true)")
    for key in sorted(set(schema) - _KNOWN):
        raise ValueError(f"schema: {path}/{key}: keyword is not supported")
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: smallest(sub, f"{path}/properties/{name}") for name, sub in schema.get("properties", {}).items()}
    if kind == "array":
        return [smallest(schema.get("items", {"type": "string"}), f"{path}/items")]
    if kind not in _LEAVES:
        raise ValueError(f"schema: {path}/type: no such type: {json.dumps(kind)}")
    return _LEAVES[kind]


def grammar(text: str) -> str:
    """The grammar of a schema given as JSON text. ValueError with one line."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError("schema: /: not JSON") from exc
    return JSON_GRAMMAR + json.dumps(smallest(schema))
