"""Makes a Unit of what unitsource read, or says of every fault its file, line, key and what was expected.

It knows what the keys of a unit mean together; it opens no file.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from llmsh.abi import nice, template
from llmsh.abi.errors import Error
from llmsh.abi.lease import Sampling
from llmsh.abi.unit import KINDS, RANGES, TYPES, Example, Limits, Option, Scalar, Unit
from llmsh.abi.unitlines import Path
from llmsh.abi.unitsource import Place, Source

_LONG = {
    "prompt": ("refuse", "parts"),
    "filter": ("refuse",),
    "classify": ("refuse", "parts"),
    "extract": ("refuse", "parts"),
    "chat": ("refuse", "shift"),
}
_ONLY = {
    "labels": ("classify",),
    "neutral": ("classify",),
    "schema": tuple(kind for kind in KINDS if kind != "classify"),
    "verbatim": ("extract",),
    "merge": ("prompt",),
}
"""Keys that mean something for these kinds alone."""
_SAMPLED = tuple(name for name in Sampling.__struct_fields__ if name not in ("grammar", "logit_bias", "rated"))
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
_PYTHON: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_WHERE = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_WRONG = re.compile(r"Expected `(.*?)`, got `(.*?)`")
_WORDS = {"str": "a string", "int": "an integer", "float": "a number", "bool": "true or false", "array": "a list"}
_WORDS |= {"object": "a table", "int | float": "a number", "bool | int | float | str": "a string or a number"}
_MISSED = {"kind": f"one of {', '.join(KINDS)}", "description": "one line of text"}
"""What is said of keys that must be there, in place of their type."""
_FREE = ("options", "limits", "sampling", "examples", "schema")
"""Keys of a unit whose values have checks of their own."""


class Broken(Error):
    """A unit with faults: a line for each in `faults`, all of them in `detail`."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("ENOEXEC", "; ".join(faults))
        self.faults = faults


def dotted(path: Path) -> str:
    """A path as a person writes it: options.length.type, examples[2].answer."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Checker:
    """One unit under examination: converts values and keeps the faults with the places of their keys."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._faults: list[tuple[Place, str]] = []
        self._bad: set[Path] = set()

    def fault(self, path: Path, message: str) -> None:
        """Something is wrong with this key."""
        key = f"{dotted(path)}: " if path else ""
        self._faults.append((self.source.place(path), f"{key}{message}"))
        self._bad.add(path)

    def sound(self, *path: str | int) -> bool:
        """Whether nothing is known against this key, so that what it means can be looked at."""
        return path not in self._bad

    def done(self) -> None:
        """Raises Broken where there was a fault: those of the unit's file first, by their lines."""
        if self._faults:
            own = self.source.path
            found = sorted(self._faults, key=lambda fault: (fault[0].file != own, fault[0]))
            raise Broken([f"{place}: {text}" for place, text in found])

    def value(self, value: Any, kind: Any, path: Path) -> Any:
        """The value as this type; None, and a fault kept, when it is none."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as exc:
            text, _, where = str(exc).partition(" - at `$")
            inner = [name or int(index) for name, index in _WHERE.findall(where)]
            if wrong := _WRONG.search(text):
                expected, got = (_WORDS.get(word, word) for word in wrong.groups())
                text = f"expected {expected}, found {got}"
            self._bad.add(path)
            self.fault((*path, *inner), text)
            return None

    def table(self, value: Any, path: Path) -> dict[str, Any]:
        """The value, which must be a table; an empty one when it is none."""
        return self.value(value, dict[str, Any], path) or {}

    def fields(self, table: Any, kind: Any, path: Path, free: Iterable[str] = ()) -> dict[str, Any]:
        """The fields of a struct that are there and right, key by key: one fault hides no other.
        Those in `free` are let pass."""
        known = {field.name: field for field in msgspec.structs.fields(kind) if field.name not in ("name", "path")}
        made: dict[str, Any] = {}
        given = self.table(table, path)
        for key, value in given.items():
            at = (*path, key)
            if key not in known:
                why = "the file's name is the agent's: " if key in ("name", "path") and not path else ""
                self.fault(at, f"no such key: {why}expected one of {', '.join(known)}")
            elif key not in free:
                right = self.value(value, known[key].type, at)
                made |= {key: right} if self.sound(*at) else {}
        for name, field in known.items():
            if field.required and name not in given and self.sound(*path):
                wanted = _MISSED.get(name) or _WORDS.get(getattr(field.type, "__name__", ""), "a value")
                self.fault((*path, name), f"missing: expected {wanted}")
        return made


def _option(check: _Checker, at: Path, value: Any) -> Option:
    made = check.fields(value, Option, at)
    option = Option(**{"help": "", **made})
    if option.type not in TYPES:
        check.fault((*at, "type"), f"expected one of {', '.join(TYPES)}, found {option.type!r}")
    if option.short and (len(option.short) != 1 or not option.short.isalnum()):
        check.fault((*at, "short"), f"expected one letter or digit, found {option.short!r}")
    if not check.sound(*at, "type"):
        return option
    if "default" not in made:
        option = msgspec.structs.replace(option, default=_PYTHON[option.type]())
    for key, scalars in (("default", (option.default,)), ("choices", option.choices)):
        for scalar in scalars:
            if check.sound(*at, key) and not _fits(scalar, option.type):
                check.fault((*at, key), f"expected {_WORDS[option.type]}, found {scalar!r}")
    if option.choices and option.default not in option.choices and check.sound(*at, "default"):
        choices = ", ".join(map(str, option.choices))
        check.fault((*at, "default"), f"expected one of {choices}, found {option.default!r}")
    return option


def _options(check: _Checker, table: Any) -> dict[str, Option]:
    out: dict[str, Option] = {}
    shorts: dict[str, str] = {}
    for name, value in check.table(table, ("options",)).items():
        at: Path = ("options", name)
        if not _OPTION.fullmatch(name) or name == template.INPUT:
            check.fault(at, "expected a name of small letters, digits and dashes, other than input")
        option = out[name] = _option(check, at, value)
        if option.short in shorts:
            check.fault((*at, "short"), f"-{option.short} is taken by {shorts[option.short]}: expected another letter")
        elif option.short:
            shorts[option.short] = name
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
            check.fault(("schema",), "expected a JSON schema: strings, numbers, lists and tables")
            return ""
    text = check.value(value, str, ("schema",))
    if text is None:
        return ""
    try:
        if not isinstance(json.loads(text), dict):
            check.fault(("schema",), "expected a JSON object")
    except (ValueError, RecursionError) as exc:
        check.fault(("schema",), f"expected JSON: {exc}")
    return str(text)


def _sampling(check: _Checker, table: Any) -> dict[str, Any]:
    given = check.table(table, ("sampling",))
    types = {field.name: field.type for field in msgspec.structs.fields(Sampling)}
    for name, value in given.items():
        at: Path = ("sampling", name)
        if name not in _SAMPLED:
            check.fault(at, f"no such key: expected one of {', '.join(_SAMPLED)}")
            continue
        check.value(value, types[name], at)
        low, high = RANGES.get(name, (0, 0))
        if check.sound(*at) and name in RANGES and not low <= value <= high:
            check.fault(at, f"expected {low} to {high}, found {value}")
    return given


def _texts(check: _Checker, unit: Unit) -> None:
    """Every hole in a text of the unit is one that will be filled."""
    names = [*unit.options, template.INPUT]
    for key, text in (("system", unit.system), ("prompt", unit.prompt), ("merge", unit.merge)):
        holes = template.holes(text)
        for hole in holes:
            if hole not in names or (key == "system" and hole == template.INPUT):
                allowed = ", ".join(f"{{{name}}}" for name in names)
                check.fault((key,), f"{{{hole}}}: expected {allowed}, or {{{{{hole}}}}} for the text itself")
        if template.INPUT not in holes and (key == "prompt" or (key == "merge" and text)):
            check.fault((key,), "expected {input} in it")
    for index, example in enumerate(unit.examples):
        for name in example.when:
            if name not in unit.options:
                check.fault(("examples", index, "when"), f"expected names of options, found {name!r}")


def _kind(check: _Checker, unit: Unit) -> None:
    """What each kind needs is there, and nothing that it would ignore."""
    if unit.kind not in KINDS:
        check.fault(("kind",), f"expected one of {', '.join(KINDS)}, found {unit.kind!r}")
        return
    for key, kinds in _ONLY.items():
        if key in check.source.table and unit.kind not in kinds:
            check.fault((key,), f"means nothing for kind {unit.kind}: expected kind {', '.join(kinds)}")
    if unit.long not in _LONG[unit.kind]:
        allowed = ", ".join(_LONG[unit.kind])
        check.fault(("long",), f"expected one of {allowed} for kind {unit.kind}, found {unit.long!r}")
    if unit.raw and unit.kind == "chat":
        check.fault(("raw",), "means nothing for kind chat: expected a chat template")
    labels = [label for label in unit.labels if label.strip() and label.isprintable()]
    few = len(set(labels)) < 2 or len(set(labels)) != len(unit.labels)
    if unit.kind == "classify" and few and check.sound("labels"):
        check.fault(("labels",), "expected two or more texts of one line, all different")
    if unit.kind == "extract" and not unit.schema and check.sound("schema"):
        check.fault(("schema",), "missing: expected a JSON schema for kind extract")


def _numbers(check: _Checker, unit: Unit) -> None:
    if not nice.LOWEST <= unit.nice <= nice.HIGHEST:
        check.fault(("nice",), f"expected {nice.LOWEST} to {nice.HIGHEST}, found {unit.nice}")
    for name in ("deadline", "value"):
        if not 0 <= getattr(unit, name) <= 1e12:
            check.fault((name,), f"expected 0 (none) or more, found {getattr(unit, name)}")
    if unit.part < 0:
        check.fault(("part",), f"expected 0 or more, found {unit.part}")
    for name in Limits.__struct_fields__:
        value = getattr(unit.limits, name)
        if not 0 <= value < 1 << 53:
            check.fault(("limits", name), f"expected 0 (none) or more, found {value}")
    if not unit.description.isprintable():
        check.fault(("description",), "expected one line of printable text")


def _examples(check: _Checker, value: Any) -> tuple[Example, ...]:
    if not isinstance(value, list):
        check.fault(("examples",), "expected [[examples]] tables")
        return ()
    each = [check.fields(item, Example, ("examples", index)) for index, item in enumerate(value)]
    return tuple(Example(**{"input": "", "answer": "", **made}) for made in each)


def unit(source: Source) -> Unit:
    """The unit, checked. Raises Broken: a line `FILE:LINE: KEY: what was expected` for each fault."""
    check = _Checker(source)
    table = source.table
    plain = check.fields(table, Unit, (), _FREE)
    made = Unit(
        **{"description": "", **plain, "kind": plain.get("kind", ""), "name": source.name, "path": source.path},
        options=_options(check, table.get("options", {})),
        limits=Limits(**check.fields(table.get("limits", {}), Limits, ("limits",))),
        sampling=_sampling(check, table.get("sampling", {})),
        schema=_schema(check, table["schema"]) if "schema" in table else "",
        examples=_examples(check, table.get("examples", [])),
    )
    if check.sound("kind"):
        _kind(check, made)
    _texts(check, made)
    _numbers(check, made)
    check.done()
    return made
