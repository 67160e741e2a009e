"""What could stand at the cursor: commands, agents, variables, files, jobs, pids.

It knows the text of a line and the shell, and nothing of a terminal: interactive.py shows what it
finds. A list is bounded, and a daemon that does not answer at once is not asked again.
"""

import os
from typing import Any, NamedTuple

from llmsh.abi import signals
from llmsh.abi.errors import Error
from llmsh.lib import commands
from llmsh.sh import lookup, special
from llmsh.sh.errors import ShellSyntaxError
from llmsh.sh.lexer import END, NEWLINE, OPERATOR, WORD, Lexer
from llmsh.sh.parser import Parser
from llmsh.sh.quote import backslashed
from llmsh.sh.shell import Shell
from llmsh.sh.tree import Word, static_text

CANDIDATES_MAX = 2000
PIDS_WAIT = 0.3
"""Seconds that a list of pids may take: somebody is typing."""

_JOBS = frozenset(("fg", "bg", "disown"))
_PIDS = frozenset(("kill", "wait", "renice", "logs", "trace", "fork", "send", "limit"))
_PREFIXES = frozenset(("command", "agent", "exec", "nohup", "time", "nice", "timeout", "run", "!"))
_OPENERS = frozenset(("|", "||", "&&", ";", "&", "("))


class Candidate(NamedTuple):
    """`text` replaces the word; `shown` is what the list says; `kind` why it is there."""

    text: str
    shown: str
    kind: str


class Spot(NamedTuple):
    """The word at the cursor: where it begins, its text unquoted, the words of the command before it."""

    start: int
    text: str
    before: list[str]


def spot(line: str) -> Spot:
    """Where the cursor is, at the end of the line; a quote may be open."""
    for closing in ("", "'", '"'):
        try:
            return _spot(line + closing)
        except ShellSyntaxError:
            continue
    start = max(line.rfind(mark) for mark in " \t\n;|&(") + 1
    return Spot(start, line[start:], [])


def _spot(line: str) -> Spot:
    lexer = Lexer(line)
    Parser(lexer)  # reads the lists of $(...)
    before: list[str] = []
    redirected = False
    while (token := lexer.next()).kind != END:
        if token.kind == WORD and lexer.pos >= len(line):
            return Spot(token.start, _plain(token.word, token.text), ["<"] if redirected else before)
        if token.kind in (OPERATOR, NEWLINE):
            redirected = token.text[:1] in "<>"
            before = [] if token.text in _OPENERS or token.kind == NEWLINE else before
        elif redirected:
            redirected = False
        elif token.kind == WORD:
            before.append(_plain(token.word, token.text))
    return Spot(len(line), "", ["<"] if redirected else before)


def _plain(word: Word, raw: str) -> str:
    text = static_text(word)
    return raw if text is None else text


def candidates(shell: Shell, line: str) -> tuple[int, list[Candidate]]:
    """(where the word begins, what could replace it)."""
    here = spot(line)
    found = _candidates(shell, here)
    return here.start, found[:CANDIDATES_MAX]


def _candidates(shell: Shell, here: Spot) -> list[Candidate]:
    dollar = here.text.rfind("$")
    if dollar >= 0 and "/" not in here.text[dollar:]:
        return _variables(shell, here.text, dollar)
    words = [word for word in here.before if "=" not in word or here.before.index(word)]
    while words and words[0] in _PREFIXES and words[0] != "agent":
        forced_agent = words[0] == "run"
        words = words[1:]
        if forced_agent and not words:
            return _agents(here.text)
    if words == ["agent"]:
        return _agents(here.text)
    if not words:
        is_path = "/" in here.text or here.text.startswith("~")
        return _files(shell, here.text) if is_path else _commands(shell, here.text)
    if words[0] in _JOBS or here.text.startswith("%"):
        return _jobs(shell, here.text)
    if words[0] == "kill" and here.text.startswith("-"):
        flags = [f"-{name}" for name, _ in signals.SIGNALS.values()]
        return [Candidate(flag, flag, "signal") for flag in flags if flag.startswith(here.text)]
    if here.text.startswith("-"):
        return _options(words[0], here.text)
    if words[0] in _PIDS:
        return _jobs(shell, here.text) + _pids(here.text)
    return _files(shell, here.text, folders=words[0] == "cd")


def _variables(shell: Shell, text: str, dollar: int) -> list[Candidate]:
    head, name = text[: dollar + 1], text[dollar + 1 :]
    tail = ""
    if name.startswith("{"):
        head, name, tail = head + "{", name[1:], "}"
    return [Candidate(head + n + tail, n, "variable") for n in shell.variables.names() if n.startswith(name)]


def _agents(text: str) -> list[Candidate]:
    return [Candidate(backslashed(name), name, "agent") for name in lookup.agents() if name.startswith(text)]


def _commands(shell: Shell, text: str) -> list[Candidate]:
    kinds: dict[str, str] = {}
    for kind, names in (
        ("shell", list(special.TABLE)),
        ("builtin", commands.names()),
        ("agent", lookup.agents()),
        ("program", lookup.programs(shell.variables.get("PATH") or "")),
    ):
        for name in names:
            if name.startswith(text):
                kinds.setdefault(name, kind)
    order = {"agent": 0, "shell": 1, "builtin": 1, "program": 2}
    ranked = sorted(kinds.items(), key=lambda item: (order[item[1]], item[0]))
    return [Candidate(backslashed(name), name, kind) for name, kind in ranked]


def _jobs(shell: Shell, text: str) -> list[Candidate]:
    return [
        Candidate(f"%{job.number}", f"%{job.number} {job.text[:40]}", "job")
        for job in shell.jobs
        if f"%{job.number}".startswith(text)
    ]


def _pids(text: str) -> list[Candidate]:
    """Agents that run now. A machine without a daemon has none, and stays so."""
    try:
        rows = _ps()
    except (Error, OSError):
        return []
    return [
        Candidate(str(row["pid"]), f"{row['pid']} {row.get('agent', '')}", "agent")
        for row in rows
        if str(row["pid"]).startswith(text)
    ]


def _ps() -> list[dict[str, Any]]:
    """ps(2) of a daemon that answers at once."""
    import socket

    from llmsh.lib import calls
    from llmsh.lib.conn import dial

    socket.setdefaulttimeout(PIDS_WAIT)  # for the one socket that dial makes
    try:
        conn = dial()
    finally:
        socket.setdefaulttimeout(None)
    try:
        return calls.ps(conn)
    finally:
        conn.close()


def _options(name: str, text: str) -> list[Candidate]:
    try:
        module = commands.load(name)
    except (Error, OSError, SyntaxError):
        return []
    if module is None:
        return []
    flags = [flag for option in module.COMMAND.options for flag in option.flags if flag.startswith(text)]
    return [Candidate(flag, flag, "option") for flag in sorted(flags)]


def _files(shell: Shell, text: str, folders: bool = False) -> list[Candidate]:
    folder, name = os.path.split(text)
    real = folder
    if folder.startswith("~"):
        head, slash, tail = folder.partition("/")
        home = shell.variables.get("HOME") if head == "~" else os.path.expanduser(head)
        real = (home or head) + slash + tail
    out: list[Candidate] = []
    try:
        with os.scandir(real or ".") as entries:
            for entry in entries:
                if not entry.name.startswith(name) or (entry.name.startswith(".") and not name.startswith(".")):
                    continue
                is_folder = entry.is_dir()
                if is_folder or not folders:
                    path = os.path.join(folder, entry.name)
                    mark, kind = ("/", "folder") if is_folder else ("", "file")
                    out.append(Candidate(backslashed(path) + mark, entry.name + mark, kind))
    except (OSError, ValueError):
        return []
    return sorted(out)
