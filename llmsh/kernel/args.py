"""Checks the arguments of a system call against its entry in the table. It runs no call."""

import math
from typing import Any

from llmsh.abi.errors import Error
from llmsh.abi.syscalls import Arg, Call


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return _integer(value) or (isinstance(value, float) and math.isfinite(value))


def _text(value: Any) -> bool:
    """A string that can be encoded: a lone surrogate would pass json and fail later."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _scalar(value: Any) -> bool:
    return _text(value) or isinstance(value, bool) or _number(value)


def _map(value: Any) -> bool:
    return isinstance(value, dict) and all(_text(key) and _scalar(item) for key, item in value.items())


def _size(arg: Arg, value: Any) -> int:
    if arg.kind == "strs":
        return sum(len(item) + 1 for item in value)
    return len(value)


_KINDS = {
    "int": (_integer, "an integer"),
    "num": (_number, "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "str": (_text, "a string"),
    "strs": (lambda value: isinstance(value, list) and all(map(_text, value)), "a list of strings"),
    "ints": (lambda value: isinstance(value, list) and all(map(_integer, value)), "a list of integers"),
    "map": (_map, "a map to scalars"),
}


def _one(call: Call, arg: Arg, value: Any) -> Any:
    fits, wanted = _KINDS[arg.kind]
    if not fits(value):
        raise Error("EINVAL", f"{arg.name} must be {wanted}")
    measure = value if arg.kind in ("int", "num") else 0 if arg.kind == "bool" else _size(arg, value)
    if arg.kind != "bool" and not arg.low <= measure <= arg.high:
        code = "E2BIG" if arg.kind == "strs" else "EINVAL"
        raise Error(code, f"{arg.name} must be from {arg.low} to {arg.high}, not {measure}")
    return value


def checked(call: Call, given: Any) -> dict[str, Any]:
    """All arguments of the call, defaults filled in.

    Raises Error EINVAL (E2BIG for a list that is too long) with the argument's name.
    """
    if not isinstance(given, dict):
        raise Error("EINVAL", "args must be a map")
    known = {arg.name for arg in call.args}
    for name in given:
        if name not in known:
            raise Error("EINVAL", f"no argument {str(name)[:64]!r}")
    out: dict[str, Any] = {}
    for arg in call.args:
        if arg.name in given:
            out[arg.name] = _one(call, arg, given[arg.name])
        elif arg.required:
            raise Error("EINVAL", f"{arg.name} is missing")
        else:
            out[arg.name] = arg.default
    return out
