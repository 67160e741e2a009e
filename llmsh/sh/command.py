"""Simple commands: expanded, looked up, and run here or in a child.

It knows what kinds of commands there are; pipelines and lists are exec.py's.
"""

import errno
import os
import sys
from typing import NoReturn

from llmsh.lib import commands, term
from llmsh.lib.options import Usage
from llmsh.sh import lookup, redirect, special
from llmsh.sh.errors import ExitShell, RedirectError, ShellError, ShellSyntaxError
from llmsh.sh.lookup import AGENT, BUILTIN, DENIED, NOTHING, SPECIAL, Found
from llmsh.sh.process import Report, foreground, spawn
from llmsh.sh.quote import quote
from llmsh.sh.redirect import Saved, cause
from llmsh.sh.shell import Shell
from llmsh.sh.tree import Assignment, Redirect, Simple


def run(shell: Shell, command: Simple, text: str) -> int:
    """Run a simple command that is no part of a pipeline; its status."""
    shell.substituted = None
    words = shell.expander.fields(command.words)
    if not words:
        return _assign_only(shell, command)
    found, args = resolve(shell, words)
    if found.kind == SPECIAL:
        return _special(shell, command, args)
    if found.kind == BUILTIN and not lookup.alone(found):
        return _builtin(shell, command, found, args)
    if found.kind in (DENIED, NOTHING) and not command.redirects:
        _trace(shell, command, words)
        return _cannot(shell, found)
    job = spawn(shell, [lambda report: become(shell, command, words, report)], text, background=False)
    return foreground(shell, job)


def resolve(shell: Shell, words: list[str]) -> tuple[Found, list[str]]:
    """What a command's words stand for, `command` and `agent` taken off."""
    only, args = lookup.forced(words)
    return lookup.find(args[0], shell.variables.get("PATH"), only), args


def become(shell: Shell, command: Simple, words: list[str] | None, report: Report) -> int:
    """In a child: be the command. Returns only where the shell itself did it."""
    if words is None:
        shell.substituted = None
        words = shell.expander.fields(command.words)
    if not words:
        return _assign_only(shell, command)
    _trace(shell, command, words)
    if not redirected(shell, command.redirects, None):
        return 1
    assign(shell, command.assignments, export=True)
    found, args = resolve(shell, words)
    if found.kind not in (AGENT, BUILTIN) or not any(lookup.unit(word) for word in words):
        report([])  # No agent will run: whoever waits to hear of one need not.
    if found.kind == SPECIAL:
        return _guarded(shell, args)
    if found.kind == BUILTIN:
        from llmsh.lib import foreground as client

        client.started = report
        return call(shell, found, args)
    if found.kind == AGENT:
        from llmsh.sh import agent

        return agent.run([args], report)
    if found.kind in (DENIED, NOTHING):
        return _cannot(shell, found)
    return execute(shell, found.path, args)


def execute(shell: Shell, path: str, args: list[str]) -> NoReturn:
    """Replace this process by a program."""
    environment = shell.variables.environment()
    try:
        os.execve(path, args, environment)
    except OSError as error:
        if error.errno == errno.ENOEXEC and not _is_binary(path):
            # A script without #!: POSIX has the shell run it, and what it is written in is sh.
            os.execve("/bin/sh", ["sh", path, *args[1:]], environment)
        missing = error.errno == errno.ENOENT
        shell.complain(f"{args[0]}: {'its interpreter was not found' if missing else cause(error)}")
        raise ExitShell(127 if missing else 126) from error
    except ValueError as error:
        raise ShellError(f"{args[0]}: NUL in an argument") from error


def _is_binary(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"\0" in file.read(512)
    except OSError:
        return True


def _cannot(shell: Shell, found: Found) -> int:
    if found.kind == NOTHING:
        absent = "/" in found.name
        shell.complain(f"{found.name}: {'no such file or directory' if absent else 'not found'}")
        return 127
    shell.complain(f"{found.name}: {'is a directory' if os.path.isdir(found.path) else 'permission denied'}")
    return 126


# In the shell itself.


def _assign_only(shell: Shell, command: Simple) -> int:
    saved: Saved = []
    shell.saved.append(saved)
    try:
        if not redirected(shell, command.redirects, saved):
            return 1
        assign(shell, command.assignments, export=False)
        if "x" in shell.options and command.assignments:
            _trace(shell, command, [])
    finally:
        shell.saved.pop()
        redirect.restore(saved)
    return shell.substituted or 0


def _special(shell: Shell, command: Simple, args: list[str]) -> int:
    entry = special.TABLE[args[0]]
    _trace(shell, command, args)
    saved: Saved = []
    shell.saved.append(saved)
    before = {} if entry.keeps else shell.variables.save([a.name for a in command.assignments])
    try:
        if not redirected(shell, command.redirects, saved):
            if entry.keeps and not shell.interactive:
                raise ExitShell(2)
            return 1
        assign(shell, command.assignments, export=not entry.keeps)
        status = _guarded(shell, args)
        if args == ["exec"]:
            redirect.forget(saved)
        return status
    finally:
        shell.saved.pop()
        redirect.restore(saved)
        shell.variables.restore(before)


def _guarded(shell: Shell, args: list[str]) -> int:
    """Call a special builtin; what a user did wrong becomes one line and a status, or the script's end."""
    entry = special.TABLE[args[0]]
    if args[1:] == ["--help"] and commands.find(args[0]):
        return commands.invoke(args[0], args[1:])
    try:
        return entry.run(shell, args)
    except ShellSyntaxError:
        raise
    except Usage as error:
        term.complain(args[0], str(error))
        return 2
    except ShellError as error:
        term.complain(args[0], str(error))
        if entry.keeps and not shell.interactive:
            raise ExitShell(error.status if error.status != 1 else 2) from error
        return error.status
    except OSError as error:
        term.complain(args[0], cause(error))
        return 1


def _builtin(shell: Shell, command: Simple, found: Found, args: list[str]) -> int:
    _trace(shell, command, args)
    saved: Saved = []
    shell.saved.append(saved)
    before = shell.variables.save([a.name for a in command.assignments])
    try:
        if not redirected(shell, command.redirects, saved):
            return 1
        assign(shell, command.assignments, export=True)
        return call(shell, found, args)
    finally:
        shell.saved.pop()
        redirect.restore(saved)
        shell.variables.restore(before)


def call(shell: Shell, found: Found, args: list[str]) -> int:
    """Call a builtin; everything it may raise becomes a status."""
    try:
        status = commands.invoke(found.name, args[1:])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    try:
        sys.stdout and sys.stdout.flush()
    except OSError as error:
        shell.complain(f"{args[0]}: write error: {cause(error)}")
        return 1
    return status


def redirected(shell: Shell, redirects: tuple[Redirect, ...], saved: Saved | None) -> bool:
    """Do redirections; False, and one line, when one cannot be made."""
    try:
        redirect.apply(redirects, shell.expander.text, "C" in shell.options, saved)
    except RedirectError as error:
        shell.complain(str(error))
        return False
    return True


def assign(shell: Shell, assignments: tuple[Assignment, ...], export: bool) -> None:
    """Do assignments in order."""
    for item in assignments:
        shell.assign(item.name, shell.expander.text(item.value, assignment=True))
        if export:
            shell.variables.export(item.name)


def _trace(shell: Shell, command: Simple, words: list[str]) -> None:
    if "x" in shell.options:
        shown = [quote(word) for word in words]
        if not words:
            shown = [f"{a.name}={quote(shell.variables.get(a.name) or '')}" for a in command.assignments]
        shell.complain_plain((shell.parameter("PS4") or "+ ") + " ".join(shown))
