"""pwd: the working folder. See pwd(1)."""

import os

from llmsh.abi.errors import Error
from llmsh.lib import term
from llmsh.lib.command import Command, flag
from llmsh.lib.options import parse

COMMAND = Command(
    "pwd",
    "print the working folder",
    ("[-L | -P]",),
    (
        flag("-L", "--logical", help="with links as you came (from PWD)"),
        flag("-P", "--physical", help="without links"),
    ),
)


def _logical(physical: str) -> str:
    """PWD, if it is an absolute path without . and .. that leads here."""
    said = os.environ.get("PWD", "")
    if not said.startswith("/") or {".", ".."} & set(said.split("/")):
        return physical
    try:
        return said if os.path.samefile(said, ".") else physical
    except OSError:
        return physical


def main(argv: list[str]) -> int:
    """One line."""
    given = parse(COMMAND, argv)
    try:
        physical = os.getcwd()
    except OSError as exc:
        raise Error("EIO", f"the working folder is gone: {exc.strerror}") from None
    *_, last = ("logical", *given.options)
    term.line(physical if last == "physical" else _logical(physical))
    return 0
