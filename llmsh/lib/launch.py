"""Runs a command given by its words in this OS process: a builtin, an agent or a program.

Looked up in this order, as the shell does. What follows `nice`, `timeout` and the like comes here.
"""

import os

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.abi.light import Sequence
from llmsh.lib import commands, term


def is_agent(name: str) -> bool:
    """Whether a unit of this name is there (whether it is whole, the kernel says)."""
    plain = name and "/" not in name and not name.startswith(".")
    return bool(plain) and any(os.path.isfile(os.path.join(folder, f"{name}.toml")) for folder in paths.units())


def _program(name: str, words: Sequence[str]) -> int:
    try:
        os.execvp(name, list(words))
    except FileNotFoundError:
        term.complain(name, "no such command")
        return 127
    except (OSError, ValueError) as exc:
        term.complain(name, getattr(exc, "strerror", None) or "cannot run it")
        return 126


def llmsh_words(words: Sequence[str], nice: int | None = None) -> list[str] | None:
    """Words of a builtin that these amount to, an agent being `run`; None for a program. `nice` is
    for agents; the machine's programs have had it from nice(2)."""
    name = words[0]
    given = [] if nice is None else [f"--nice={nice}"]
    if commands.find(name) is not None:
        return [name, *given, *words[1:]] if name == "run" else list(words)
    return ["run", *given, *words] if is_agent(name) else None


def execute(words: Sequence[str], nice: int | None = None) -> int:
    """Become the command; the status to end with, where it returns. Raises Error."""
    own = llmsh_words(words, nice)
    if own is not None:
        return commands.invoke(own[0], own[1:])
    return _program(words[0], words)


def known(words: Sequence[str]) -> None:
    """Refuse a program that is not there before anything is forked. Raises Error ENOENT."""
    if llmsh_words(words) is None and "/" not in words[0]:
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        if not any(os.access(os.path.join(folder, words[0]), os.X_OK) for folder in folders):
            raise Error("ENOENT", f"{words[0]}: no such command")
