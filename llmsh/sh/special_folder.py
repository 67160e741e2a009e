"""cd and umask: the commands that change where and how files are made."""

import os

from llmsh.lib import term
from llmsh.sh.errors import ShellError
from llmsh.sh.redirect import cause
from llmsh.sh.shell import Shell


def cd(shell: Shell, words: list[str]) -> int:
    """Change the working folder: `cd [-L | -P] [FOLDER | -]`."""
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
        raise ShellError(f"{target}: {cause(error)}") from error
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


def umask(_shell: Shell, words: list[str]) -> int:
    """Show or set the mode mask: `umask [OCTAL]`."""
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
