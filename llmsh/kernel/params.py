"""What a caller may set of one run: sampling, limits, switches. Keys as in llmsh-run(1).

The unit's values come first, the caller's replace them. It checks types and ranges, and knows no
process.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.lease import Sampling
from llmsh.abi.limits import OOM_MAX
from llmsh.abi.unit import RANGES, Limits, Unit

_LIMITS = {name: name for name in ("tokens", "context", "seconds", "output")}
_LIMITS |= {"max_tokens": "answer", "group_cells": "group"}
_OTHERS = ("stop", "logit_bias", "schema", "grace")
_GOALS = ("deadline", "value", "oom_score_adj")
_FLAGS = ("raw", "shift", "deterministic", "scores", "json", "tty", "late")
_BOOLS = (*_FLAGS, "rated")


class Params(msgspec.Struct, frozen=True):
    """Parameters of one run, all decided."""

    sampling: Sampling
    limits: Limits
    schema: str
    raw: bool = False
    shift: bool = False
    deterministic: bool = False
    scores: bool = False
    json: bool = False
    tty: bool = False
    grace: float | None = None
    deadline: float = 0.0
    """Seconds from its start in which it should end; 0: none."""
    value: float = 0.0
    oom: int = 0
    """oom_score_adj."""
    late: bool = False
    """It runs, marked, also when its deadline cannot be met."""


def _bad(name: str, wanted: str) -> Error:
    return Error("EINVAL", f"{name}: expected {wanted}")


def _number(name: str, value: Any, low: float, high: float) -> Any:
    if isinstance(value, bool) and name != "ignore_eos":
        raise _bad(name, "a number")
    if not isinstance(value, int | float) or not low <= value <= high:
        raise _bad(name, f"a number from {low} to {high}")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """A list of strings, or JSON text of one (a map of the wire carries scalars only)."""
    try:
        items = json.loads(value) if isinstance(value, str) else value
        items = msgspec.convert(items, list[str])
    except (ValueError, RecursionError, msgspec.ValidationError) as exc:
        raise _bad(name, "a list of strings") from exc
    if len(items) > 32 or any(not item or len(item) > 256 for item in items):
        raise _bad(name, "at most 32 strings of 1 to 256 characters")
    return tuple(items)


def _bias(value: Any) -> dict[int, float]:
    try:
        pairs = json.loads(value) if isinstance(value, str) else value
        bias = msgspec.convert(pairs, dict[int, float], strict=False)
    except (ValueError, RecursionError, msgspec.ValidationError) as exc:
        raise _bad("logit_bias", "a map from token ids to numbers") from exc
    if len(bias) > 4096 or not all(0 <= token < 1 << 31 and abs(add) <= 1e6 for token, add in bias.items()):
        raise _bad("logit_bias", "at most 4096 token ids with numbers from -1e6 to 1e6")
    return bias


def _sampling(given: Mapping[str, Any]) -> Sampling:
    fields: dict[str, Any] = {}
    for name, value in given.items():
        if name == "stop":
            fields[name] = _texts(name, value)
        elif name == "logit_bias":
            fields[name] = _bias(value)
        elif name == "rated":
            fields[name] = value
        elif name in RANGES:
            fields[name] = _number(name, value, *RANGES[name])
    try:
        return msgspec.convert(fields, Sampling, strict=False)
    except msgspec.ValidationError as exc:
        raise Error("EINVAL", str(exc)) from exc


def _limits(unit: Unit, given: Mapping[str, Any]) -> Limits:
    fields = msgspec.structs.asdict(unit.limits)
    for name, field in _LIMITS.items():
        if name in given:
            value = _number(name, given[name], 0, 1 << 53)
            fields[field] = value if field == "seconds" else int(value)
    return Limits(**fields)


def _kind(unit: Unit, given: Mapping[str, Any]) -> None:
    """Nothing is asked for that this kind of agent would ignore."""
    for name in ("scores", "json"):
        if given.get(name) and unit.kind != "classify":
            raise _bad(name, f"an agent that classifies: {unit.name} is of kind {unit.kind}")
    if given.get("schema") and unit.kind == "classify":
        raise _bad("schema", f"an agent that writes: {unit.name} is of kind classify")


def merge(unit: Unit, given: Mapping[str, Any]) -> Params:
    """The unit's parameters with the caller's changes. Raises Error EINVAL naming the key."""
    for name, value in given.items():
        known = name in RANGES or name in _LIMITS or name in _BOOLS or name in _GOALS or name in _OTHERS
        if not known:
            raise Error("EINVAL", f"no parameter {name[:64]!r}")
        if name in _BOOLS and not isinstance(value, bool):
            raise _bad(name, "true or false")
    _kind(unit, given)
    schema = given.get("schema", unit.schema)
    if not isinstance(schema, str):
        raise _bad("schema", "JSON text")
    grace = given.get("grace")
    return Params(
        sampling=_sampling({**unit.sampling, **given}),
        limits=_limits(unit, given),
        schema=schema,
        grace=None if grace is None else float(_number("grace", grace, 0, 3600)),
        deadline=float(_number("deadline", given.get("deadline", unit.deadline), 0, 1e12)),
        value=float(_number("value", given.get("value", unit.value), 0, 1e12)),
        oom=int(_number("oom_score_adj", given.get("oom_score_adj", 0), -OOM_MAX, OOM_MAX)),
        **{name: given[name] for name in _FLAGS if name in given},
    )
