"""JSON schema to GBNF: what llama.cpp's grammar then takes and refuses, and what is refused before."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmsh.engine import schema as module
from llmsh.engine.grammar import Grammar
from llmsh.engine.model import Model
from llmsh.engine.schema import IGNORED, SUPPORTED, SchemaError, literal, to_grammar

pytestmark = pytest.mark.llama


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return Model(str(tiny))


def takes(model: Model, schema: Any, text: str) -> bool:
    """Whether the schema's grammar takes this text from start to end."""
    grammar = Grammar(model, to_grammar(json.dumps(schema)))
    try:
        whole = all(grammar.accept(byte) for byte in text.encode())
        return whole and grammar.permits(model.eos)
    finally:
        grammar.close()


OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "null"}},
    "required": ["b"],
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, ['""', '"a\\n\\u00e9é"'], ['"', '"\n"', '"\\x"']),
        ({"type": "integer"}, ["0", "-12"], ["01", "1.5", "+1"]),
        ({"type": "number"}, ["0", "-1.25", "2e10"], [".5", "1."]),
        ({"type": ["null", "boolean"]}, ["null", "true"], ["0"]),
        ({"enum": ["x", 1, [2, "é\\"]]}, ['"x"', "1", '[2, "é\\\\"]'], ["x", "2"]),
        ({"const": 'a"b\n'}, ['"a\\"b\\n"'], ['"a"b"']),
        (OBJECT, ['{"b": true}', '{"a": 1, "b": true, "c": null}'],
         ["{}", '{"a": 1}', '{"b": true, "a": 1}', '{"b": true, "d": 1}']),
        ({"properties": {"a": {}}}, ["{}", '{"a": [1, {"x": null}]}'], ['{"b": 1}']),
        ({"type": "object"}, ["{}", '{"x": {"y": []}}'], ["[]"]),
        ({"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "integer"}},
         ["{}", '{"a": null}', '{"a": null, "z": 1, "y": 2}', '{"z": 1}'], ['{"z": null}', '{"z": 1, "a": null, }']),
        ({"type": "array"}, ["[]", '[1, "a", []]'], ["[1,]"]),
        ({"items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
         ["[1, 2]", "[1, 2, 3]"], ["[1]", "[1, 2, 3, 4]", "[]"]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, ["[]"], ["[1]"]),
        ({"prefixItems": [{"type": "integer"}, {"type": "null"}]}, ["[1, null]"], ["[1]", "[1, null, 2]"]),
        ({"prefixItems": [{"type": "integer"}], "items": {"type": "null"}},
         ["[1]", "[1, null, null]"], ["[]", "[1, 1]"]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, ['"a"', '"éé"'], ['""', '"abc"']),
        ({"format": "date"}, ['"2026-11-22"'], ['"2026-13-22"', '"2026-11-32"']),
        ({"format": "date-time"}, ['"2026-11-22T04:05:06Z"'], ['"2026-11-22 04:05"']),
        ({"format": "uuid"}, ['"0a1b2c3d-0000-4000-8000-0123456789ab"'], ['"0a1b"']),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, ["null", "7"], ["true"]),
        ({"$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}, ["[]", "[[], [[]]]"], ["[1]"]),
        (True, ["1", "{}"], [""]),
    ],
)  # fmt: skip
def test_the_grammar_is_the_schema(model: Model, schema: Any, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not takes(model, schema, text)] == []
    assert [text for text in bad if takes(model, schema, text)] == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"pattern": "a"}', "/pattern: keyword is not supported"),
        ('{"items": {"not": {}}}', "/items/not: keyword is not supported"),
        ('{"anyOf": [true, {"minimum": 1}]}', "/anyOf/1/minimum: keyword is not supported"),
        ('{"type": "text"}', '/type: no such type: "text"'),
        ('{"enum": []}', "/enum: not a list with something in it"),
        ('{"$ref": "other.json"}', "/$ref: only references within the schema (#/…) are supported"),
        ('{"$ref": "#/$defs/x"}', "/$ref: #/$defs/x is not in the schema"),
        ('{"$ref": "#"}', "/$ref: # refers to itself"),
        ('{"minItems": 3, "maxItems": 2}', "/maxItems: less than minItems"),
        ('{"maxLength": 99999}', "/maxLength: not a number from 0 to 2000"),
        ('{"format": "email"}', '/format: format "email" is not supported'),
        ('{"properties": {}, "required": ["a"], "additionalProperties": false}', "/required: a is no property"),
        ("[1]", "/: not a schema (an object or true)"),
        ("{", "/: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(schema: str, said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        to_grammar(schema)
    assert str(caught.value) == f"schema: {said}"


def test_a_schema_nested_too_deeply_is_refused() -> None:
    deep: Any = {}
    for _ in range(100):
        deep = {"items": deep}
    with pytest.raises(SchemaError, match="nested deeper than 64"):
        to_grammar(json.dumps(deep))
    with pytest.raises(SchemaError, match="not JSON"):
        to_grammar("[" * 100_000)


def test_literals_survive_any_character(model: Model) -> None:
    text = "".join(map(chr, [*range(1, 0x180), 0x2603, 0x1F600]))
    grammar = Grammar(model, f"root ::= {literal(text)}")
    assert all(grammar.accept(byte) for byte in text.encode())
    assert grammar.ended()
    grammar.close()


def test_the_docstring_lists_what_is_supported() -> None:
    assert module.__doc__ is not None
    assert [word for word in SUPPORTED | IGNORED if word not in module.__doc__] == []
