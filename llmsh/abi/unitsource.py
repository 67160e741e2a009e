"""Finds a unit's files and reads them into one table: NAME.toml, then NAME.toml.d/*.toml in order.

It knows who may write a file and how drop-ins merge, not what a key means: a client that only wants
to know an agent's options can use it without loading msgspec.
"""

import os
import re
import stat
import tomllib
from typing import Any, NamedTuple

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.unitlines import Path, line, lines

UNIT_MAX = 1 << 20
"""Bytes of one unit file."""
NAME_MAX = 64
SUFFIX = ".toml"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")
_TOML = {
    "Invalid value": 'a "string", a number, true, false, [a list] or {a table}',
    "Invalid statement": "KEY = VALUE or [TABLE]",
    "Illegal character": 'the closing quote, or """ around several lines',
    "Unterminated string": "the closing quotes",
    "Unclosed": "the closing bracket",
    "Cannot": "each key and table once",
    "Unescaped": "an escape of TOML, as \\n",
}
"""How tomllib begins to say what is wrong, and what is right there."""
_APPENDED = "examples"
"""The one list that a drop-in adds to; an empty list empties it."""


class Place(NamedTuple):
    """Where a key was written."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Source(NamedTuple):
    """A unit as it was written: the merged table, and where each key of it came from."""

    name: str
    path: str
    table: dict[str, Any]
    origins: dict[Path, Place]

    def place(self, path: Path) -> Place:
        """Where this key was written, or the nearest thing around it; line 1 for one that is missing."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[:-1]
        return Place(self.path, 1)


def is_name(name: str) -> bool:
    """Whether an agent can be called this: letters, digits and `_.+-`, no dot or dash first."""
    return len(name) <= NAME_MAX and _NAME.fullmatch(name) is not None


def _read(path: str) -> str:
    """The text of a file that only root or we can have written. Raises Error ENOENT, EACCES, ENOEXEC."""
    try:
        # O_NONBLOCK: a fifo of that name must not hold us; a regular file does not mind.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as exc:
        raise Error("ENOENT", f"{path}: no such file") from exc
    except OSError as exc:
        raise Error("EACCES", f"{path}: {(exc.strerror or 'cannot be read').lower()}") from exc
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Error("ENOEXEC", f"{path}: not a regular file")
        if status.st_uid not in (0, os.geteuid()):
            raise Error("EACCES", f"{path}: belongs to user {status.st_uid}: expected you or root")
        # Who may write the code may write the units beside it: a checkout has the modes of its umask.
        if status.st_mode & 0o022 and not path.startswith(os.path.join(paths.shipped(), "")):
            mode = stat.S_IMODE(status.st_mode)
            raise Error("EACCES", f"{path}: mode {mode:04o}: group or others may write it (chmod go-w)")
        data = file.read(UNIT_MAX + 1)
    if len(data) > UNIT_MAX:
        raise Error("ENOEXEC", f"{path}: more than {UNIT_MAX} bytes: expected a unit")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        row = data.count(b"\n", 0, exc.start) + 1
        raise Error("ENOEXEC", f"{path}:{row}: not UTF-8: expected text, found 0x{data[exc.start]:02x}") from exc


def _no_toml(text: str, message: str) -> str:
    """Line, key and what TOML has there, of what tomllib says of a text."""
    rows = text.rstrip("\n").split("\n")
    found = _TOML_LINE.search(message)
    row = int(found.group(1)) if found else len(rows)
    key = _KEY.match(rows[min(row, len(rows)) - 1])
    message = _TOML_LINE.sub("", message)
    cause = message[:1].lower() + message[1:]
    wanted = next((wanted for start, wanted in _TOML.items() if message.startswith(start)), "TOML")
    where = f"{row}: {key.group(1)}: " if key else f"{row}: "
    return where + (cause if cause.startswith("expected") else f"{cause}: expected {wanted}")


def _parse(path: str) -> tuple[dict[str, Any], dict[Path, int]]:
    text = _read(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise Error("ENOEXEC", f"{path}:{_no_toml(text, str(exc))}") from exc
    except RecursionError as exc:
        raise Error("ENOEXEC", f"{path}: nested too deeply: expected a unit") from exc
    return table, lines(text.replace("\r\n", "\n"))


def _merge(source: Source, path: str) -> None:
    """Lay the table of one more file over what is there."""
    table, found = _parse(path)

    def lay(below: dict[str, Any], above: dict[str, Any], at: Path) -> None:
        for key, value in above.items():
            here: Path = (*at, key)
            source.origins[here] = Place(path, line(found, here))
            old = below.get(key)
            if isinstance(value, dict) and isinstance(old, dict):
                lay(old, value, here)
                continue
            shift = 0
            if here == (_APPENDED,) and isinstance(value, list) and isinstance(old, list) and value:
                shift = len(old)
                value = old + value  # noqa: PLW2901 - what is stored is the joined list
            below[key] = value
            for where, row in found.items():
                if where[: len(here)] == here and len(where) > len(here):
                    rest = where[len(here) :]
                    moved = (rest[0] + shift, *rest[1:]) if isinstance(rest[0], int) else rest
                    source.origins[(*here, *moved)] = Place(path, row)

    lay(source.table, table, ())


def _dropins(path: str, name: str) -> list[str]:
    """Drop-in files in the order of their names; of two of one name, the one found first counts."""
    folders = paths.units()
    if os.path.dirname(path) not in folders:
        folders.insert(0, os.path.dirname(path))
    chosen: dict[str, str] = {}
    for folder in folders:
        try:
            files = os.listdir(os.path.join(folder, name + SUFFIX + ".d"))
        except OSError:
            continue
        for file in files:
            if file.endswith(SUFFIX) and not file.startswith("."):
                chosen.setdefault(file, os.path.join(folder, name + SUFFIX + ".d", file))
    return [chosen[file] for file in sorted(chosen)]


def read(path: str, name: str) -> Source:
    """The unit in this file with its drop-ins, unchecked.

    Raises Error ENOENT (no file), EACCES (unreadable, or others can write it), ENOEXEC (not TOML).
    """
    source = Source(name, path, {}, {})
    for file in (path, *_dropins(path, name)):
        _merge(source, file)
    return source


def find(name: str) -> str:
    """The path of the unit of this name: first in the user's folder. Raises Error ENOENT for none."""
    if is_name(name):
        for folder in paths.units():
            path = os.path.join(folder, name + SUFFIX)
            if os.path.lexists(path):
                return path
    raise Error("ENOENT", f"{name}: no such agent")


def names() -> list[tuple[str, str]]:
    """All units as (name, path), sorted by name; of two of one name, the one that find() finds."""
    found: dict[str, str] = {}
    for folder in paths.units():
        try:
            files = os.listdir(folder)
        except OSError:
            continue
        for file in files:
            name = file.removesuffix(SUFFIX)
            if file.endswith(SUFFIX) and is_name(name):
                found.setdefault(name, os.path.join(folder, file))
    return sorted(found.items())
