"""Writes the list of files in docs/design.md: each with the first sentence of its first docstring.

So a file says once what it does. `python tools/design.py` rewrites the part between the marks; `page()` gives the
whole page to the test that says it is current. It knows no file.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/design.md"
BEGIN, END = "<!-- files: made by tools/design.py -->", "<!-- end of files -->"
FOLDERS = {
    "llmsh/abi": "what the two sides and the engine share",
    "llmsh/kernel": "bookkeeping and policy; no model, no socket, no clock of its own",
    "llmsh/programs": "what agents run: state machines, a file a kind",
    "llmsh/drivers": "the kernel's devices",
    "llmsh/boot": "the daemon: everything put together and kept alive",
    "llmsh/engine": "the program that runs a model; the only importer of llama_cpp",
    "llmsh/lib": "the C library of user space",
    "llmsh/sh": "the shell",
    "llmsh/top": "the monitor",
    "llmsh/cli": "the program `llmsh`",
    "builtins": "commands, a file each",
}
"""Folder to what it is, in the order of the page."""


def sentence(path: Path) -> str:
    """The first sentence of the file's first docstring; empty for an empty file."""
    words = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())
    return re.split(r"(?<=[.:;]) (?=[A-Z`])", words, maxsplit=1)[0].rstrip(".:;").replace("|", "\\|")


def files(folder: str) -> list[Path]:
    """The Python files under a folder that say anything."""
    return sorted(path for path in (ROOT / folder).rglob("*.py") if path.read_text().strip())


def listing() -> str:
    """A table for each folder."""
    out: list[str] = []
    for folder, meaning in FOLDERS.items():
        rows = [f"| `{path.relative_to(ROOT / folder)}` | {sentence(path)} |" for path in files(folder)]
        if rows:
            out += [f"### `{folder}/`: {meaning}", "", "| file | what it does |", "| --- | --- |", *rows, ""]
    return "\n".join(out)


def page() -> str:
    """The page as it should be."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n\n{listing()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page())
