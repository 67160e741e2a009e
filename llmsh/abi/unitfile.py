"""Units by name: find, load, names, and the values of a unit's options. Format: llmsh-unit(5).

It puts unitsource (files) and unitcheck (meaning) together, and runs nothing.
"""

import math
from collections.abc import Mapping

from llmsh.abi import unitcheck, unitsource
from llmsh.abi.errors import Error
from llmsh.abi.unit import Option, Scalar, Unit

names = unitsource.names


def load(path: str, name: str) -> Unit:
    """The unit in this file with its drop-ins.

    Raises Error ENOENT (no file), EACCES (unreadable, or others may write it), ENOEXEC (broken:
    `FILE:LINE: KEY: what was expected`).
    """
    return unitcheck.unit(unitsource.read(path, name))


def find(name: str) -> Unit:
    """The unit of this name: the user's, else the system's, else the shipped one. Raises as load."""
    return load(unitsource.find(name), name)


def _number(text: Scalar, kind: str) -> int | float | None:
    """The value as a number of this kind, or None."""
    try:
        if isinstance(text, bool):
            return None
        if kind == "int":
            return int(text) if not isinstance(text, float) or text.is_integer() else None
        value = float(text)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _value(unit: Unit, name: str, option: Option, given: Scalar) -> Scalar:
    """One value as its type says, checked against the choices."""
    value: Scalar | None = given
    if option.type in ("int", "float"):
        value = _number(given, option.type)
        wanted = "an integer" if option.type == "int" else "a number"
    elif option.type == "bool":
        value = given if isinstance(given, bool) else None
        wanted = "no value"
    else:
        value = given if isinstance(given, str) else str(given)
        wanted = "text"
    if value is None:
        raise Error("EINVAL", f"{unit.name}: --{name}: expected {wanted}, found {given!r}")
    if option.choices and value not in option.choices:
        choices = ", ".join(map(str, option.choices))
        raise Error("EINVAL", f"{unit.name}: --{name}: expected one of {choices}, found {given!r}")
    return value


def validate_options(unit: Unit, given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """All of the unit's options: the given values checked, the others' defaults.

    Numbers may come as text. Raises Error EINVAL with the option and what was expected.
    """
    for name in given:
        if name not in unit.options:
            raise Error("EINVAL", f"{unit.name}: no option --{name}")
    return {
        name: _value(unit, name, option, given[name]) if name in given else option.default
        for name, option in unit.options.items()
    }
