"""Commands that are part of the shell, because they change it. Source: POSIX.1-2024, 2.15 and utilities.

Those about jobs, variables and folders are in special_*.py. Each takes the shell and its words, its
name first, and gives a status; what a user did wrong is a ShellError.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from llmsh.lib import term
from llmsh.sh import lookup, special_folder, special_jobs, special_variables
from llmsh.sh.errors import ExitShell, ShellError, ShellSyntaxError
from llmsh.sh.lexer import Lexer
from llmsh.sh.parser import Parser
from llmsh.sh.shell import Shell
from llmsh.sh.source import File

SOURCED_MAX = 100


class Special(NamedTuple):
    """`keeps`: a special builtin of POSIX: assignments before it stay, its errors end a script."""

    run: Callable[[Shell, list[str]], int]
    keeps: bool = False


def _nothing(_shell: Shell, _words: list[str]) -> int:
    return 0


def _false(_shell: Shell, _words: list[str]) -> int:
    return 1


# Running.


def _eval(shell: Shell, words: list[str]) -> int:
    return run_source(shell, Parser(Lexer(" ".join(words[1:]) + "\n")))


def _source(shell: Shell, words: list[str]) -> int:
    if len(words) < 2:
        raise ShellError("a file is needed")
    if shell.sourced >= SOURCED_MAX:
        raise ShellError(f"{words[1]}: more than {SOURCED_MAX} files within each other")
    path = words[1]
    if "/" not in path:
        path = lookup.readable(path, shell.variables.get("PATH")) or os.path.join(".", path)
    source = File(path)
    shell.sourced += 1
    try:
        return run_source(shell, Parser(Lexer(more=source.more)))
    except ShellSyntaxError as error:
        raise ShellSyntaxError(error.line, error.cause, words[1]) from error
    finally:
        shell.sourced -= 1
        source.close()


def run_source(shell: Shell, parser: Parser) -> int:
    """Run every command of a text in this shell."""
    shell.status = 0
    while (items := parser.complete()) is not None:
        shell.status = shell.run(shell, items)
    return shell.status


def _exec(shell: Shell, words: list[str]) -> int:
    from llmsh.sh import command as simple
    from llmsh.sh.process import default_signals

    if len(words) == 1:
        return 0
    only, args = lookup.forced(words[1:])
    found = lookup.find(args[0], shell.variables.get("PATH"), only)
    if found.kind == lookup.NOTHING:
        raise ShellError(f"{args[0]}: not found")
    if found.kind == lookup.DENIED:
        raise ShellError(f"{args[0]}: permission denied")
    if shell.terminal:
        shell.terminal.restore()
    default_signals(shell)
    if found.kind == lookup.PROGRAM:
        simple.execute(shell, found.path, args)
    if found.kind == lookup.AGENT:
        from llmsh.sh import agent

        raise ExitShell(agent.run([args], lambda _: None))
    if found.kind == lookup.SPECIAL:
        raise ExitShell(TABLE[found.name].run(shell, args))
    raise ExitShell(simple.call(shell, found, args))


def _exit(shell: Shell, words: list[str]) -> int:
    status = special_variables.number(words[1]) & 255 if len(words) > 1 else shell.status
    if cause := shell.held_back():
        raise ShellError(cause)
    raise ExitShell(status)


# Names.


def _command(shell: Shell, words: list[str]) -> int:
    """`command -v NAME`; `command NAME` was resolved before it came here."""
    args = words[1:]
    if not args:
        return 0
    if args[0] not in ("-v", "-V"):
        raise ShellError(f"{args[0]}: no such option")
    status = 0
    for name in args[1:]:
        found = lookup.find(name, shell.variables.get("PATH"))
        if found.kind in (lookup.NOTHING, lookup.DENIED):
            status = 127 if args[0] == "-v" else status or 1
            if args[0] == "-V":
                shell.complain(f"{name}: not found")
        elif args[0] == "-v":
            term.line(found.path if found.kind == lookup.PROGRAM else name)
        else:
            term.line(_said(found))
    return status


def _said(found: lookup.Found) -> str:
    if found.kind == lookup.SPECIAL:
        return f"{found.name} is part of the shell"
    return f"{found.name} is {'an agent' if found.kind == lookup.AGENT else 'a ' + found.kind}: {found.path}"


def _type(shell: Shell, words: list[str]) -> int:
    return _command(shell, ["command", "-V", *words[1:]])


def _agent(_shell: Shell, _words: list[str]) -> int:
    raise ShellError("the name of an agent is needed")


TABLE: dict[str, Special] = {
    ":": Special(_nothing, keeps=True),
    ".": Special(_source, keeps=True),
    "source": Special(_source),
    "eval": Special(_eval, keeps=True),
    "exec": Special(_exec, keeps=True),
    "exit": Special(_exit, keeps=True),
    "export": Special(special_variables.export, keeps=True),
    "readonly": Special(special_variables.readonly, keeps=True),
    "set": Special(special_variables.set_, keeps=True),
    "shift": Special(special_variables.shift, keeps=True),
    "unset": Special(special_variables.unset, keeps=True),
    "agent": Special(_agent),
    "cd": Special(special_folder.cd),
    "command": Special(_command),
    "type": Special(_type),
    "umask": Special(special_folder.umask),
    "true": Special(_nothing),
    "false": Special(_false),
    "bg": Special(special_jobs.bg),
    "disown": Special(special_jobs.disown),
    "fg": Special(special_jobs.fg),
    "jobs": Special(special_jobs.jobs),
    "kill": Special(special_jobs.kill),
    "wait": Special(special_jobs.wait),
}
