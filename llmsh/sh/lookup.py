"""What a command's name stands for: special builtin, function, builtin, agent, program, in this order.

`command` and `agent` before a name force one. It knows names and folders, and runs nothing.
"""

import os
from typing import NamedTuple

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.lib import commands
from llmsh.sh.errors import ShellError

SPECIAL, BUILTIN, AGENT, PROGRAM, DENIED, NOTHING = "special", "builtin", "agent", "program", "denied", "nothing"


class Found(NamedTuple):
    """What a name stands for; `path` is a program's, a unit's or a builtin's file."""

    kind: str
    name: str
    path: str = ""


def unit(name: str) -> str:
    """The file of the agent of this name, or an empty text."""
    if not name or "/" in name or name.startswith("."):
        return ""
    for folder in paths.units():
        path = os.path.join(folder, name + ".toml")
        if os.path.isfile(path):
            return path
    return ""


def program(name: str, search: str | None) -> Found:
    """The program of this name by PATH, or by its own path when it has a slash."""
    if "/" in name:
        return _judge(name, name)
    denied = None
    for folder in (os.defpath if search is None else search).split(":"):
        found = _judge(name, os.path.join(folder or ".", name))
        if found.kind == PROGRAM:
            return found
        if found.kind == DENIED and denied is None and not os.path.isdir(found.path):
            denied = found
    return denied or Found(NOTHING, name)


def _judge(name: str, path: str) -> Found:
    if os.path.isfile(path):
        return Found(PROGRAM if os.access(path, os.X_OK) else DENIED, name, path)
    return Found(DENIED if os.path.exists(path) else NOTHING, name, path)


def find(name: str, search: str | None, only: str = "") -> Found:
    """What a name stands for; `only` is `command` or `agent` to force one."""
    from llmsh.sh import special

    if only != "agent" and name in special.TABLE:
        return Found(SPECIAL, name)
    if not only and (path := builtin(name)):
        return Found(BUILTIN, name, path)
    if only != "command" and (path := unit(name)):
        return Found(AGENT, name, path)
    if only == "agent":
        return Found(NOTHING, name)
    return program(name, search)


def builtin(name: str) -> str:
    """The file of the builtin of this name, or an empty text. Raises ShellError for one that others
    may write."""
    try:
        return commands.find(name) or ""
    except Error as error:
        failure = ShellError(error.detail)
        failure.status = 126
        raise failure from error


def alone(found: Found) -> bool:
    """Whether a builtin needs a process of its own: it may wait, die by a signal, or start others."""
    try:
        module = commands.load(found.name)
        return module is None or bool(module.COMMAND.alone)
    except Exception:  # noqa: BLE001 - a user's own file: the child that runs it says what is wrong
        return True


def readable(name: str, search: str | None) -> str:
    """The file that `.` reads for a name without a slash, or an empty text."""
    for folder in (search or "").split(":"):
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.R_OK):
            return path
    return ""


def forced(words: list[str]) -> tuple[str, list[str]]:
    """(`command`, `agent` or nothing, the words after it) of a command."""
    only = ""
    while len(words) > 1 and words[0] in ("command", "agent") and not words[1].startswith("-"):
        only, words = words[0], words[1:]
        if words[0] == "--" and len(words) > 1:
            words = words[1:]
    return only, words


# Listings, for completion.


def agents() -> list[str]:
    """Names of all agents."""
    names = {name for folder in paths.units() for name in _names(folder)}
    return sorted(name[:-5] for name in names if name.endswith(".toml") and not name.startswith("."))


def programs(search: str) -> list[str]:
    """Names of all programs on a PATH."""
    found: set[str] = set()
    for folder in search.split(":"):
        try:
            with os.scandir(folder or ".") as entries:
                found.update(e.name for e in entries if os.access(e.path, os.X_OK) and e.is_file())
        except OSError:
            continue
    return sorted(found)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
