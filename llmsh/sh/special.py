"""Commands that are part of the shell, because they change it. Source: POSIX.1-2024, 2.15 and utilities.

Those about jobs are in special_jobs.py. Each takes the shell and its words, its name first, and gives
a status; what a user did wrong is a ShellError.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from llmsh.lib import term
from llmsh.sh import lookup, special_jobs
from llmsh.sh.errors import ExitShell, ShellError
from llmsh.sh.lexer import Lexer, is_name
from llmsh.sh.parser import Parser
from llmsh.sh.quote import quote
from llmsh.sh.shell import OPTIONS, Shell
from llmsh.sh.source import File


class Special(NamedTuple):
    """`keeps`: a special builtin of POSIX: assignments before it stay, its errors end a script."""

    run: Callable[[Shell, list[str]], int]
    keeps: bool = False


def _nothing(shell: Shell, words: list[str]) -> int:
    return 0


def _false(shell: Shell, words: list[str]) -> int:
    return 1


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ShellError(f"{text}: not a number")
    return int(text)


# Running.


def _eval(shell: Shell, words: list[str]) -> int:
    return run_source(shell, Parser(Lexer(" ".join(words[1:]) + "\n")))


def _source(shell: Shell, words: list[str]) -> int:
    if len(words) < 2:
        raise ShellError("a file is needed")
    path = words[1]
    if "/" not in path:
        found = lookup.readable(path, shell.variables.get("PATH"))
        path = found or (os.path.join(".", path) if words[0] == "source" else path)
    source = File(path)
    shell.sourced += 1
    try:
        if shell.sourced > 100:
            raise ShellError(f"{path}: sourced too deeply")
        return run_source(shell, Parser(Lexer(more=source.more)))
    except ShellError as error:
        raise type(error)(f"{words[1]}: {error}") if type(error) is ShellError else error
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

        raise ExitShell(agent.run(shell, [args], lambda pids: None))
    if found.kind == lookup.SPECIAL:
        raise ExitShell(TABLE[found.name].run(shell, args))
    raise ExitShell(simple.call(shell, found, args))


def _exit(shell: Shell, words: list[str]) -> int:
    status = _number(words[1]) & 255 if len(words) > 1 else shell.status
    if cause := shell.held_back():
        raise ShellError(cause)
    raise ExitShell(status)


# Variables.


def _export(shell: Shell, words: list[str]) -> int:
    return _declare(shell, words, shell.variables.export, shell.variables.exported())


def _readonly(shell: Shell, words: list[str]) -> int:
    return _declare(shell, words, shell.variables.readonly, shell.variables.read_only())


def _declare(shell: Shell, words: list[str], mark: Callable[[str], None], marked: list[str]) -> int:
    args = words[1:]
    if not args or args == ["-p"]:
        for name in marked:
            value = shell.variables.get(name)
            term.line(f"{words[0]} {name}" + ("" if value is None else f"={quote(value)}"))
        return 0
    for arg in args[1:] if args[0] == "--" else args:
        name, equals, value = arg.partition("=")
        if not is_name(name):
            raise ShellError(f"{arg}: not a name")
        if equals:
            shell.variables.set(name, value)
        mark(name)
    return 0


def _unset(shell: Shell, words: list[str]) -> int:
    args = words[1:]
    if args and args[0] in ("-v", "-f", "--"):
        functions = args.pop(0) == "-f"
        if functions:
            return 0
    for name in args:
        if not is_name(name):
            raise ShellError(f"{name}: not a name")
        shell.variables.unset(name)
    return 0


def _shift(shell: Shell, words: list[str]) -> int:
    count = _number(words[1]) if len(words) > 1 else 1
    if count > len(shell.args):
        raise ShellError(f"{count}: there are {len(shell.args)} parameters")
    del shell.args[:count]
    return 0


# Options.


def _set(shell: Shell, words: list[str]) -> int:
    args = words[1:]
    if not args:
        for name in shell.variables.names():
            term.line(f"{name}={quote(shell.variables.get(name) or '')}")
        return 0
    rest = set_options(shell, args)
    if rest is not None:
        shell.args = rest
    return 0


def set_options(shell: Shell, args: list[str]) -> list[str] | None:
    """Take options such as -eu, +x and -o NAME off a line; the operands after them, None for none."""
    at = 0
    while at < len(args) and len(args[at]) > 1 and args[at][0] in "-+":
        word = args[at]
        at += 1
        if word == "--":
            return args[at:]
        for letter in word[1:]:
            if letter == "o":
                if at >= len(args):
                    _show_options(shell, word[0] == "+")
                    return None
                _named_option(shell, args[at], word[0] == "-")
                at += 1
            else:
                _option(shell, letter, word[0] == "-")
    return args[at:] if at < len(args) else None


def _option(shell: Shell, letter: str, on: bool) -> None:
    if letter not in OPTIONS:
        raise ShellError(f"-{letter}: no such option")
    (shell.options.add if on else shell.options.discard)(letter)


def _named_option(shell: Shell, name: str, on: bool) -> None:
    if name == "pipefail":
        shell.pipefail = on
        return
    letters = [letter for letter, long in OPTIONS.items() if long == name]
    if not letters:
        raise ShellError(f"-o {name}: no such option")
    _option(shell, letters[0], on)


def _show_options(shell: Shell, as_input: bool) -> None:
    state = {name: letter in shell.options for letter, name in OPTIONS.items()} | {"pipefail": shell.pipefail}
    for name in sorted(state):
        term.line(f"set {'-' if state[name] else '+'}o {name}" if as_input else f"{name:<16}{'on' if state[name] else 'off'}")


# The working folder.


def _cd(shell: Shell, words: list[str]) -> int:
    args = words[1:]
    physical = False
    while args and args[0] in ("-L", "-P", "--"):
        option = args.pop(0)
        if option == "--":
            break
        physical = option == "-P"
    if len(args) > 1:
        raise ShellError("too many arguments")
    target, told = _cd_target(shell, args[0] if args else None)
    here = shell.variables.get("PWD") or os.getcwd()
    path = target if physical else _logical(here, target)
    try:
        os.chdir(path)
    except OSError as error:
        raise ShellError(f"{target}: {(error.strerror or '').lower()}") from error
    except ValueError as error:
        raise ShellError("NUL in a file name") from error
    if physical or not os.path.isabs(path):
        path = os.getcwd()
    shell.variables.set("OLDPWD", here)
    shell.variables.set("PWD", path)
    os.environ["PWD"] = path
    if told:
        term.line(path)
    return 0


def _cd_target(shell: Shell, arg: str | None) -> tuple[str, bool]:
    """(folder, whether to print it) of an argument."""
    if arg is None:
        home = shell.variables.get("HOME")
        if not home:
            raise ShellError("HOME is not set")
        return home, False
    if arg == "-":
        old = shell.variables.get("OLDPWD")
        if not old:
            raise ShellError("OLDPWD is not set")
        return old, True
    if not arg.startswith(("/", "./", "../")) and arg not in (".", ".."):
        for folder in (shell.variables.get("CDPATH") or "").split(":"):
            if folder and os.path.isdir(os.path.join(folder, arg)):
                return os.path.join(folder, arg), True
    return arg, False


def _logical(here: str, target: str) -> str:
    """The folder's path with . and .. taken out as text, as cd -L does."""
    parts: list[str] = []
    for part in os.path.join(here, target).split("/"):
        if part == "..":
            if parts and not os.path.isdir("/" + "/".join(parts)):
                return target
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _umask(shell: Shell, words: list[str]) -> int:
    if len(words) == 1:
        mask = os.umask(0o077)
        os.umask(mask)
        term.line(f"{mask:04o}")
        return 0
    text = words[1]
    if not text.isascii() or not text.isdigit() or not set(text) <= set("01234567") or int(text, 8) > 0o777:
        raise ShellError(f"{text}: not an octal mode")
    os.umask(int(text, 8))
    return 0


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


def _agent(shell: Shell, words: list[str]) -> int:
    raise ShellError("the name of an agent is needed")


TABLE: dict[str, Special] = {
    ":": Special(_nothing, keeps=True),
    ".": Special(_source, keeps=True),
    "source": Special(_source),
    "eval": Special(_eval, keeps=True),
    "exec": Special(_exec, keeps=True),
    "exit": Special(_exit, keeps=True),
    "export": Special(_export, keeps=True),
    "readonly": Special(_readonly, keeps=True),
    "set": Special(_set, keeps=True),
    "shift": Special(_shift, keeps=True),
    "unset": Special(_unset, keeps=True),
    "agent": Special(_agent),
    "cd": Special(_cd),
    "command": Special(_command),
    "type": Special(_type),
    "umask": Special(_umask),
    "true": Special(_nothing),
    "false": Special(_false),
    "bg": Special(special_jobs.bg),
    "disown": Special(special_jobs.disown),
    "fg": Special(special_jobs.fg),
    "jobs": Special(special_jobs.jobs),
    "kill": Special(special_jobs.kill),
    "wait": Special(special_jobs.wait),
}
