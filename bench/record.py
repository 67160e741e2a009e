"""What was measured, on disk as it comes; and which rows need not be measured again.

A row is done when all of it was measured with the same programs, model, threads and options. Rows that were
begun and not ended, or could not be measured, are not. It judges nothing.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.place import ROOT, Place, machine
from bench.row import FAILED, SKIPPED, Row

SAMPLE = 1 << 20


def digest(parts: Iterable[bytes]) -> str:
    """A short name for bytes."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()[:16]


def build() -> str:
    """The programs that are measured: all sources of the package."""
    package = Path(ROOT, "llmsh")
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".sql"))
    return digest(part for path in files for part in (str(path.relative_to(package)).encode(), path.read_bytes()))


def weights(path: str) -> str:
    """A model's file, by its size, its beginning and its end: hashing all of it may take minutes."""
    if not path or not os.path.isfile(path):
        return ""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(SAMPLE)
        file.seek(max(0, size - SAMPLE))
        return digest([str(size).encode(), head, file.read()])


def key(name: str, where: Place, programs: str) -> str:
    """Changes when a row would have to be measured again."""
    source = Path(ROOT, "bench", f"{name}.py").read_bytes()
    second = os.environ.get("MODEL2", "") if name == "two_models" else ""
    said = json.dumps([programs, weights(where.model), where.threads, where.scale, where.options, weights(second)])
    return digest([said.encode(), source])


class Record:
    """The numbers of one or more runs in one file, which is whole at any time."""

    def __init__(self, path: str, *, resume: bool = False) -> None:
        self.path = path
        self.data: dict[str, Any] = {"machine": machine(), "began": time.time(), "done": {}, "rows": []}
        if resume and os.path.exists(path):
            self.data = {**self.data, **read(path)}

    def done(self, name: str, wanted: str) -> bool:
        """Whether a row was measured to its end under this key."""
        return bool(self.data["done"].get(name) == wanted)

    def begin(self, name: str) -> None:
        """Forget what was measured of it."""
        self.data["done"].pop(name, None)
        self.data["rows"] = [row for row in self.data["rows"] if row.get("row") != name]

    def add(self, name: str, row: Row, command: str) -> None:
        """A line of it, at once on disk."""
        self.data["rows"].append({"row": name, **row._asdict(), "command": command, "at": time.time()})
        self.write()

    def end(self, name: str, wanted: str, seconds: float) -> None:
        """All of it is there."""
        mine = [row for row in self.data["rows"] if row.get("row") == name]
        for row in mine:
            row["seconds"] = round(seconds, 1)
        if mine and all(row["verdict"] not in (SKIPPED, FAILED) for row in mine):
            self.data["done"][name] = wanted
        self.write()

    def write(self) -> None:
        """To a new file, then in place of the old one."""
        folder = os.path.dirname(os.path.abspath(self.path))
        os.makedirs(folder, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as file:
            json.dump(self.data, file, indent=1)
            file.write("\n")
        os.replace(file.name, self.path)


def read(path: str) -> dict[str, Any]:
    """What a file holds. Raises OSError, ValueError."""
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict) or not isinstance(found.get("rows"), list):
        raise ValueError(f"{path}: no numbers of the bench")  # noqa: TRY004  # what a file holds, not a caller
    return found


def table(data: dict[str, Any]) -> str:
    """The rows as a table of Markdown, for docs/benchmarks.md."""
    lines = ["| row | target | value | |", "| --- | --- | --- | --- |"]
    for row in data["rows"]:
        cells = (row["name"], row["target"].replace(">=", "at least").replace("<=", "at most"), row["value"])
        shown = " | ".join(cell.replace("|", "\\|") for cell in cells)
        lines.append(f"| {shown} | {row['verdict']} |")
    return "\n".join(lines)
