"""Reads llmshd.toml: keys, types and bounds are checked; what is wrong is one line with file, line and key.

Format: llmshd.toml(5). It knows no command line; `changed` lays KEY=VALUE over what was read.
"""

import dataclasses
import os
import re
import tomllib
from collections.abc import Collection
from typing import Any

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.lease import CORES_MAX
from llmsh.abi.limits import CACHE_TYPES, PIPE_MAX, PIPE_MIN, SEQUENCES_MAX
from llmsh.kernel.io.queue import QUEUES
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings

MAX = 1 << 40


@dataclasses.dataclass(frozen=True)
class Config(Settings):
    """The kernel's settings and the daemon's own."""

    swap_memory: int = 2 << 30
    swap_file: int = 4 << 30
    calibrate: bool = True
    """Measure how fast steps are, once for a model and a machine, when nothing runs."""
    threads_batch: int = 0
    """Of a step that computes input, before there are rates; 0: one for each of the machine's cores."""
    cells: int = 8192
    """Cells of each core."""
    sequences: int = 64
    """Sequences that a core holds at once."""
    cache_type: str = "auto"
    """auto, f16 or bf16: what cells keep."""
    idle_exit_s: float = 1800.0
    """A daemon that started by itself leaves after so long with nothing to do; 0 for never."""
    log_max_bytes: int = 4 << 20
    """The daemon's own log."""
    output_max_bytes: int = 8 << 20
    """The log of one detached process."""


BOUNDS: dict[str, tuple[float, float]] = {
    "batch": (0, SEQUENCES_MAX),
    "quantum": (1, 1024),
    "pipe_capacity": (PIPE_MIN, PIPE_MAX),
    "boost_tokens": (0, 1 << 20),
    "latency_ms": (0, MAX),
    "starvation_s": (0.1, MAX),
    "grace_s": (0, 600),
    "nproc": (1, MAX),
    "model_idle_s": (0, MAX),
    "swap_memory": (0, MAX),
    "swap_file": (0, MAX),
    "memory": (0, 1 << 60),
    "model_turn_s": (0, MAX),
    "model_wait_s": (0, MAX),
    "cores": (0, CORES_MAX),
    "threads": (0, 512),
    "threads_batch": (0, 512),
    "cells": (64, MAX),
    "sequences": (1, SEQUENCES_MAX),
    "idle_exit_s": (0, MAX),
    "log_max_bytes": (8192, MAX),
    "output_max_bytes": (4096, MAX),
}
"""Least and greatest value of every number."""

CHOICES: dict[str, Collection[str]] = {"policy": POLICIES, "swap_order": QUEUES, "cache_type": CACHE_TYPES}
"""What a word may be."""

SIZES = ("memory", "swap_memory", "swap_file", "pipe_capacity", "log_max_bytes", "output_max_bytes")
"""Keys in bytes: a text with a unit is taken, too, as "4G"."""
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


def file() -> str:
    """Where the file is looked for."""
    return os.path.join(paths.config(), "llmshd.toml")


def _kind(name: str) -> str:
    kind = FIELDS[name].type
    return kind if isinstance(kind, str) else kind.__name__


def _wanted(name: str) -> str:
    text = _KINDS[_kind(name)] + (' or a text as "4G"' if name in SIZES else "")
    if name in CHOICES:
        return f"one of {', '.join(CHOICES[name])}"
    if name in BOUNDS:
        low, high = BOUNDS[name]
        return f"{text} from {low:g} to {high:g}" if high < MAX else f"{text}, at least {low:g}"
    return text


def checked(name: str, value: Any) -> Any:
    """The value as its field has it. Raises ValueError with what was expected."""
    if name not in FIELDS:
        raise ValueError(f"{name}: no such key; keys are {', '.join(FIELDS)}")
    kind = _kind(name)
    if kind == "float" and type(value) is int:
        value = float(value)
    if name in SIZES and isinstance(value, str) and (size := re.fullmatch(r"(\d+)([KMGT])", value)):
        value = int(size[1]) * UNITS[size[2]]
    low, high = BOUNDS.get(name, (0, 0))
    fits = type(value).__name__ == kind and (name not in BOUNDS or low <= value <= high)
    if not fits or value not in CHOICES.get(name, (value,)):
        raise ValueError(f"{name}: expected {_wanted(name)}")
    return value


def _line(text: str, name: str) -> int:
    """The line on which a key is set, 1 if it cannot be told."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\[\"']*{re.escape(name)}\b", line):
            return number
    return 1


def _parse(path: str, text: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        cause, _, place = str(exc).rpartition(" (at ")
        found = re.match(r"line (\d+)", place)
        line = found[1] if found else max(1, len(text.splitlines()))
        raise Error("EINVAL", f"{path}:{line}: {cause or place}") from None
    values = {}
    for name, value in table.items():
        try:
            values[name] = checked(name, value)
        except ValueError as exc:
            raise Error("EINVAL", f"{path}:{_line(text, name)}: {exc}") from None
    return values


def read(path: str = "") -> Config:
    """The configuration from a file; the usual one may be missing. Raises Error EINVAL, ENOENT."""
    where = path or file()
    try:
        with open(where, "rb") as source:
            text = source.read().decode()
    except FileNotFoundError:
        if path:
            raise Error("ENOENT", f"{where}: no such file") from None
        return Config()
    except OSError as exc:
        raise Error("EINVAL", f"{where}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise Error("EINVAL", f"{where}: not UTF-8") from None
    return Config(**_parse(where, text))


def changed(config: Config, items: list[str]) -> Config:
    """The same with KEY=VALUE laid over it; a value is as in the file, quotes may be left out."""
    for item in items:
        name, equals, text = item.partition("=")
        if not equals:
            raise Error("EINVAL", f"{item}: expected KEY=VALUE")
        value: Any = text
        if name in FIELDS and _kind(name) != "str":
            try:
                value = tomllib.loads(f"x = {text}")["x"]
            except tomllib.TOMLDecodeError:
                value = text if name in SIZES else None
        try:
            config = dataclasses.replace(config, **{name: checked(name, value)})
        except ValueError as exc:
            raise Error("EINVAL", str(exc)) from None
    return config
