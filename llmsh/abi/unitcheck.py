"""Makes a Unit of what unitsource read, or says file, line, key and what was expected.

It knows what the keys of a unit mean together; it opens no file.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

import msgspec

from llmsh.abi import nice, template
from llmsh.abi.errors import Error
from llmsh.abi.lease import Sampling
from llmsh.abi.unit import KINDS, TYPES, Example, Limits, Option, Scalar, Unit
from llmsh.abi.unitlines import Path
from llmsh.abi.unitsource import Source

T = TypeVar("T")

_LONG = {
    "prompt": ("refuse", "parts"),
    "filter": ("refuse",),
    "classify": ("refuse", "parts"),
    "extract": ("refuse", "parts"),
    "chat": ("refuse", "shift"),
}
_ONLY = {"labels": "classify", "neutral": "classify", "schema": "extract", "verbatim": "extract", "merge": "prompt"}
"""Keys that mean something for one kind alone."""
_SAMPLED = tuple(name for name in Sampling.__struct_fields__ if name not in ("grammar", "logit_bias"))
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
_PYTHON: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_WHERE = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_UNKNOWN = re.compile(r"unknown field `(.*?)`")
_MISSING = re.compile(r"missing required field `(.*?)`")
_WRONG = re.compile(r"Expected `(.*?)`, got `(.*?)`")
_WORDS = {"str": "a string", "int": "an integer", "float": "a number", "bool": "true or false", "array": "a list"}
_WORDS |= {"object": "a table", "int | float": "a number", "bool | int | float | str": "a string or a number"}
_TABLES = ("options", "limits", "sampling", "examples")


def dotted(path: Path) -> str:
    """A path as a person writes it: options.length.type, examples[2].answer."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Checker:
    """One unit under examination: converts values and refuses with the place of a key."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def refuse(self, path: Path, message: str) -> NoReturn:
        key = f"{dotted(path)}: " if path else ""
        raise Error("ENOEXEC", f"{self.source.place(path)}: {key}{message}")

    def convert(self, value: Any, kind: type[T], path: Path) -> T:
        """The value as this type; an error of msgspec's becomes one of ours."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as exc:
            text, _, where = str(exc).partition(" - at `$")
            inner = [name or int(index) for name, index in _WHERE.findall(where)]
            path = (*path, *inner)
            if unknown := _UNKNOWN.search(text):
                self.refuse((*path, unknown.group(1)), f"no such key: expected one of {self.known(kind, inner)}")
            if missing := _MISSING.search(text):
                self.refuse((*path, missing.group(1)), "missing: expected a value")
            if wrong := _WRONG.search(text):
                expected, got = (_WORDS.get(word, word) for word in wrong.groups())
                self.refuse(path, f"expected {expected}, found {got}")
            self.refuse(path, text)

    @staticmethod
    def known(kind: Any, inner: Iterable[str | int]) -> str:
        fields = [name for name in getattr(kind, "__struct_fields__", ()) if name not in ("name", "path")]
        return ", ".join(fields) if not list(inner) else "the keys in llmsh-unit(5)"


def _options(check: _Checker, table: Any) -> dict[str, Option]:
    out: dict[str, Option] = {}
    shorts: dict[str, str] = {}
    for name, value in check.convert(table, dict[str, Any], ("options",)).items():
        at: Path = ("options", name)
        if not _OPTION.fullmatch(name) or name == template.INPUT:
            check.refuse(at, "expected a name of small letters, digits and dashes, other than input")
        option = check.convert(value, Option, at)
        if option.type not in TYPES:
            check.refuse((*at, "type"), f"expected one of {', '.join(TYPES)}, found {option.type!r}")
        if option.short and (len(option.short) != 1 or not option.short.isalnum()):
            check.refuse((*at, "short"), f"expected one letter or digit, found {option.short!r}")
        if option.short and option.short in shorts:
            check.refuse((*at, "short"), f"-{option.short} is taken by {shorts[option.short]}")
        shorts[option.short] = name
        if "default" not in value:
            option = msgspec.structs.replace(option, default=_PYTHON[option.type]())
        for key, scalars in (("default", (option.default,)), ("choices", option.choices)):
            for scalar in scalars:
                if not _fits(scalar, option.type):
                    check.refuse((*at, key), f"expected {_WORDS[option.type]}, found {scalar!r}")
        if option.choices and option.default not in option.choices:
            check.refuse((*at, "default"), f"expected one of {', '.join(map(str, option.choices))}")
        out[name] = option
    return out


def _fits(value: Scalar, kind: str) -> bool:
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is _PYTHON[kind]


def _schema(check: _Checker, value: Any) -> str:
    """A schema written as TOML tables or as JSON text, as JSON text."""
    if isinstance(value, dict):
        try:
            return json.dumps(value)
        except (TypeError, ValueError):  # a TOML date has no JSON
            check.refuse(("schema",), "expected a JSON schema: strings, numbers, lists and tables")
    text = check.convert(value, str, ("schema",))
    try:
        if not isinstance(json.loads(text), dict):
            check.refuse(("schema",), "expected a JSON object")
    except (ValueError, RecursionError) as exc:
        check.refuse(("schema",), f"expected JSON: {exc}")
    return text


def _sampling(check: _Checker, table: Any) -> dict[str, Any]:
    given = check.convert(table, dict[str, Any], ("sampling",))
    for name in given:
        if name not in _SAMPLED:
            check.refuse(("sampling", name), f"no such key: expected one of {', '.join(_SAMPLED)}")
    check.convert(given, Sampling, ("sampling",))
    return given


def _texts(check: _Checker, unit: Unit) -> None:
    """Every hole in a text of the unit is one that will be filled."""
    names = [*unit.options, template.INPUT]
    for key, text in (("system", unit.system), ("prompt", unit.prompt), ("merge", unit.merge)):
        for hole in template.holes(text):
            if hole not in names or (key == "system" and hole == template.INPUT):
                allowed = ", ".join(f"{{{name}}}" for name in names)
                check.refuse((key,), f"{{{hole}}}: expected {allowed}, or {{{{{hole}}}}} for the text itself")
    if template.INPUT not in template.holes(unit.prompt):
        check.refuse(("prompt",), "expected {input} in it")
    if unit.merge and template.INPUT not in template.holes(unit.merge):
        check.refuse(("merge",), "expected {input} in it")
    for index, example in enumerate(unit.examples):
        for name in example.when:
            if name not in unit.options:
                check.refuse(("examples", index, "when"), f"expected names of options, found {name!r}")


def _kind(check: _Checker, unit: Unit) -> None:
    """What each kind needs is there, and nothing that it would ignore."""
    if unit.kind not in KINDS:
        check.refuse(("kind",), f"expected one of {', '.join(KINDS)}, found {unit.kind!r}")
    for key, kind in _ONLY.items():
        if key in check.source.table and unit.kind != kind:
            check.refuse((key,), f"means nothing for kind {unit.kind}: expected kind {kind}")
    if unit.long not in _LONG[unit.kind]:
        allowed = ", ".join(_LONG[unit.kind])
        check.refuse(("long",), f"expected one of {allowed} for kind {unit.kind}, found {unit.long!r}")
    if unit.raw and unit.kind == "chat":
        check.refuse(("raw",), "means nothing for kind chat: expected a chat template")
    labels = [label for label in unit.labels if label.strip() and label.isprintable()]
    if unit.kind == "classify" and (len(set(labels)) < 2 or len(set(labels)) != len(unit.labels)):
        check.refuse(("labels",), "expected two or more texts of one line, all different")
    if unit.kind == "extract" and not unit.schema:
        check.refuse(("schema",), "missing: expected a JSON schema for kind extract")


def _numbers(check: _Checker, unit: Unit) -> None:
    if not nice.LOWEST <= unit.nice <= nice.HIGHEST:
        check.refuse(("nice",), f"expected {nice.LOWEST} to {nice.HIGHEST}, found {unit.nice}")
    if unit.part < 0:
        check.refuse(("part",), f"expected 0 or more, found {unit.part}")
    for name in Limits.__struct_fields__:
        value = getattr(unit.limits, name)
        if not 0 <= value < 1 << 53:
            check.refuse(("limits", name), f"expected 0 (none) or more, found {value}")
    if not unit.description.isprintable():
        check.refuse(("description",), "expected one line of printable text")


def unit(source: Source) -> Unit:
    """The unit, checked. Raises Error ENOEXEC: `FILE:LINE: KEY: what was expected`."""
    check = _Checker(source)
    table = source.table
    for key in ("name", "path"):
        if key in table:
            check.refuse((key,), "no such key: the file's name is the agent's")
    plain = {key: value for key, value in table.items() if key not in (*_TABLES, "schema")}
    examples = table.get("examples", [])
    if not isinstance(examples, list):
        check.refuse(("examples",), "expected [[examples]] tables")
    made = check.convert({**plain, "name": source.name, "path": source.path}, Unit, ())
    made = msgspec.structs.replace(
        made,
        options=_options(check, table.get("options", {})),
        limits=check.convert(table.get("limits", {}), Limits, ("limits",)),
        sampling=_sampling(check, table.get("sampling", {})),
        schema=_schema(check, table["schema"]) if "schema" in table else "",
        examples=tuple(check.convert(value, Example, ("examples", i)) for i, value in enumerate(examples)),
    )
    _kind(check, made)
    _texts(check, made)
    _numbers(check, made)
    return made
