"""JSON schema to a grammar (GBNF). Source: JSON Schema 2020-12, llama.cpp's grammars/README.md.

Supported: type (one or a list), properties, required, additionalProperties, items, prefixItems,
minItems, maxItems, enum, const, anyOf, oneOf (taken as anyOf), $ref to #/…, $defs, definitions,
minLength, maxLength, format (date, time, date-time, uuid). Ignored, since they restrict nothing:
title, description, default, examples, deprecated, readOnly, writeOnly, $schema, $id, $comment.
Every other keyword is refused with its path. An object with `properties` has no others unless
additionalProperties says so; its members come in the order of the schema.

Output has one space after a comma and a colon and none elsewhere: a model that may put space
anywhere puts it everywhere. It knows no vocabulary.
"""

import json
from collections.abc import Callable
from typing import Any

SUPPORTED = frozenset({
    "type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "enum",
    "const", "anyOf", "oneOf", "$ref", "$defs", "definitions", "minLength", "maxLength", "format",
})  # fmt: skip
IGNORED = frozenset({
    "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$comment",
})  # fmt: skip
REPEAT_MAX = 2000
_DEPTH_MAX = 64

_BASE = {
    "value": "object | array | string | number | boolean | null",
    "object": '"{" ( string ": " value ( ", " string ": " value )* )? "}"',
    "array": '"[" ( value ( ", " value )* )? "]"',
    "string": r'"\"" char* "\""',
    "char": r'[^"\\\x00-\x1F\x7F] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F]{4} )',
    "number": 'integer ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,3} )?',
    "integer": '"-"? ( "0" | [1-9] [0-9]{0,15} )',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "day": '[0-9]{4} "-" ( "0" [1-9] | "1" [0-2] ) "-" ( "0" [1-9] | [1-2] [0-9] | "3" [0-1] )',
    "clock": '( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] ":" [0-5] [0-9] ( "." [0-9]{1,6} )? '
    '( "Z" | [+-] ( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] )',
    "date": r'"\"" day "\""',
    "time": r'"\"" clock "\""',
    "date-time": r'"\"" day "T" clock "\""',
    "uuid": r'"\"" [0-9a-f]{8} ( "-" [0-9a-f]{4} ){3} "-" [0-9a-f]{12} "\""',
}
_NEEDS = {
    "value": ("object", "array", "string", "number", "boolean", "null"),
    "object": ("string", "value"),
    "array": ("value",),
    "string": ("char",),
    "number": ("integer",),
    "date": ("day",),
    "time": ("clock",),
    "date-time": ("day", "clock"),
}
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


class SchemaError(ValueError):
    """What cannot be made a grammar, with its JSON path."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"schema: {path or '/'}: {cause}")


def to_grammar(text: str) -> str:
    """A schema as JSON text to GBNF. Raises SchemaError."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SchemaError("", f"not JSON: {str(exc).splitlines()[0]}") from exc
    return _Converter(schema).grammar()


def literal(text: str) -> str:
    """A GBNF literal of this text."""
    out = []
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append("\\" + char)
        elif 0x20 <= code < 0x7F:
            out.append(char)
        elif code < 0x100:
            out.append(f"\\x{code:02X}")
        else:
            out.append(f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}")
    return '"' + "".join(out) + '"'


def _constant(value: Any) -> str:
    return literal(json.dumps(value, ensure_ascii=False))


class _Converter:
    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._rules: dict[str, str] = {}
        self._refs: dict[str, str] = {}
        self._count = 0

    def grammar(self) -> str:
        body = self._visit(self._root, "", 0)
        return "\n".join(f"{name} ::= {rule}" for name, rule in [("root", body), *self._rules.items()])

    def _name(self, rule: str, stem: str = "r") -> str:
        self._count += 1
        name = f"{stem}{self._count}"
        self._rules[name] = rule
        return name

    def _base(self, name: str) -> str:
        if name not in self._rules:
            self._rules[name] = _BASE[name]
            for each in _NEEDS.get(name, ()):
                self._base(each)
        return name

    def _visit(self, schema: Any, path: str, depth: int) -> str:
        """The body of a rule."""
        if depth > _DEPTH_MAX:
            raise SchemaError(path, f"nested deeper than {_DEPTH_MAX}")
        if schema is True:
            return self._base("value")
        if not isinstance(schema, dict):
            raise SchemaError(path, "not a schema (an object or true)")
        for key in schema:
            if key not in SUPPORTED and key not in IGNORED:
                raise SchemaError(f"{path}/{key}", "keyword is not supported")
        if "$ref" in schema:
            return self._ref(schema["$ref"], f"{path}/$ref", depth)
        if "const" in schema:
            return _constant(schema["const"])
        if "enum" in schema:
            return " | ".join(map(_constant, _list(schema["enum"], f"{path}/enum")))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._any(schema[key], f"{path}/{key}", depth)
        return self._typed(schema, path, depth)

    def _typed(self, schema: dict[str, Any], path: str, depth: int) -> str:
        kind = schema.get("type", _implied(schema))
        if isinstance(kind, list):
            each = [self._name(self._typed({**schema, "type": t}, path, depth)) for t in _list(kind, f"{path}/type")]
            return " | ".join(each)
        if kind is None:
            return self._base("value")
        if kind not in _TYPES:
            raise SchemaError(f"{path}/type", f"no such type: {json.dumps(kind)}")
        special: dict[str, Callable[[dict[str, Any], str, int], str]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
        }
        return special[kind](schema, path, depth) if kind in special else self._base(kind)

    def _any(self, schemas: Any, path: str, depth: int) -> str:
        found = _list(schemas, path)
        return " | ".join(self._name(self._visit(s, f"{path}/{i}", depth + 1)) for i, s in enumerate(found))

    def _ref(self, ref: Any, path: str, depth: int) -> str:
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
            raise SchemaError(path, "only references within the schema (#/…) are supported")
        if ref not in self._refs:
            target = self._root
            for part in ref.split("/")[1:]:
                part = part.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901  # RFC 6901
                if not isinstance(target, dict) or part not in target:
                    raise SchemaError(path, f"{ref} is not in the schema")
                target = target[part]
            name = self._refs[ref] = self._name("")
            self._rules[name] = self._visit(target, ref[1:], depth + 1)
            if self._rules[name].strip() == name:
                raise SchemaError(path, f"{ref} refers to itself")
        return self._refs[ref]

    def _object(self, schema: dict[str, Any], path: str, depth: int) -> str:
        properties = schema.get("properties", {})
        if not isinstance(properties, dict):
            raise SchemaError(f"{path}/properties", "not an object")
        required = schema.get("required", [])
        if not isinstance(required, list) or not all(isinstance(each, str) for each in required):
            raise SchemaError(f"{path}/required", "not a list of names")
        missing = [each for each in required if each not in properties]
        more = schema.get("additionalProperties", not properties)
        if missing and more is False:
            raise SchemaError(f"{path}/required", f"{missing[0]} is no property")
        members = {**properties, **dict.fromkeys(missing, True if more is True else more)}
        if not members and more is True:
            return self._base("object")
        pairs = [(self._pair(key, value, path, depth), key in required) for key, value in members.items()]
        return f'"{{" {self._members(pairs, self._extra(more, path, depth))} "}}"'

    def _pair(self, key: str, value: Any, path: str, depth: int) -> str:
        name = self._name(self._visit(value, f"{path}/properties/{key}", depth + 1))
        return f"{literal(json.dumps(key, ensure_ascii=False) + ': ')} {name}"

    def _extra(self, more: Any, path: str, depth: int) -> str:
        """A member that the schema does not name; empty when there may be none."""
        if more is False:
            return ""
        value = self._name(self._visit(more, f"{path}/additionalProperties", depth + 1))
        return f'{self._base("string")} ": " {value}'

    def _members(self, pairs: list[tuple[str, bool]], extra: str) -> str:
        """Members in order, optional ones left out: two rules a place, before and after the first."""
        after = self._name(f'( ", " {extra} )*') if extra else '""'
        before = self._name(f'( {extra} ( ", " {extra} )* )?') if extra else '""'
        for pair, required in reversed(pairs):
            kept = self._name(pair)
            first, later = f"{kept} {after}", f'", " {kept} {after}'
            before = self._name(first if required else f"{first} | {before}")
            after = self._name(later if required else f"{later} | {after}")
        return before

    def _array(self, schema: dict[str, Any], path: str, depth: int) -> str:
        low, high = _bounds(schema, "minItems", "maxItems", path)
        given = _list(schema["prefixItems"], f"{path}/prefixItems") if "prefixItems" in schema else []
        first = [self._name(self._visit(s, f"{path}/prefixItems/{i}", depth + 1)) for i, s in enumerate(given)]
        rest = schema.get("items", not first)
        if rest is False or (high is not None and high <= len(first)):
            if not len(first) >= low:
                raise SchemaError(f"{path}/minItems", "more than there are items")
            return '"[" ' + ' ", " '.join(first[: high if high is not None else len(first)]) + ' "]"'
        item = self._name(self._visit(rest, f"{path}/items", depth + 1))
        low, high = max(0, low - len(first)), None if high is None else high - len(first)
        if first:
            return '"[" ' + ' ", " '.join(first) + f' ( ", " {item} ){_times(low, high)} "]"'
        if high == 0:
            return '"[]"'
        more = f'{item} ( ", " {item} ){_times(max(0, low - 1), None if high is None else high - 1)}'
        return f'"[" {more} "]"' if low else f'"[" ( {more} )? "]"'

    def _string(self, schema: dict[str, Any], path: str, depth: int) -> str:
        form = schema.get("format")
        if form is not None:
            if form not in _FORMATS:
                raise SchemaError(f"{path}/format", f"format {json.dumps(form)} is not supported")
            return self._base(form)
        low, high = _bounds(schema, "minLength", "maxLength", path)
        if low == 0 and high is None:
            return self._base("string")
        return rf'"\"" {self._base("char")}{_times(low, high)} "\""'


def _implied(schema: dict[str, Any]) -> str | None:
    """The type that a schema without one speaks of."""
    if schema.keys() & {"properties", "required", "additionalProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems", "maxItems"}:
        return "array"
    return "string" if schema.keys() & {"minLength", "maxLength", "format"} else None


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise SchemaError(path, "not a list with something in it")
    return value


def _bounds(schema: dict[str, Any], least: str, most: str, path: str) -> tuple[int, int | None]:
    low, high = schema.get(least, 0), schema.get(most)
    for key, value in ((least, low), (most, high)):
        if value is not None and (type(value) is not int or not 0 <= value <= REPEAT_MAX):
            raise SchemaError(f"{path}/{key}", f"not a number from 0 to {REPEAT_MAX}")
    if high is not None and high < low:
        raise SchemaError(f"{path}/{most}", f"less than {least}")
    return low, high


def _times(low: int, high: int | None) -> str:
    if high is None:
        return "*" if low == 0 else "+" if low == 1 else f"{{{low},}}"
    return f"{{{low},{high}}}"
