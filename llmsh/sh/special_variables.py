"""export, readonly, unset, set and shift: the commands that change variables and parameters."""

from collections.abc import Callable

from llmsh.lib import term
from llmsh.sh.errors import ShellError
from llmsh.sh.options import set_options
from llmsh.sh.quote import quote
from llmsh.sh.shell import Shell
from llmsh.sh.word import is_name


def number(text: str) -> int:
    """A count given as text. Raises ShellError."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ShellError(f"{text}: not a number")
    return int(text)


def export(shell: Shell, words: list[str]) -> int:
    """Put variables into the environment: `export [-p] [NAME[=VALUE]...]`."""
    return _declare(shell, words, shell.variables.export, shell.variables.exported())


def readonly(shell: Shell, words: list[str]) -> int:
    """Fix variables: `readonly [-p] [NAME[=VALUE]...]`."""
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


def unset(shell: Shell, words: list[str]) -> int:
    """Forget variables: `unset [-v] NAME...`."""
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


def shift(shell: Shell, words: list[str]) -> int:
    """Drop the first parameters: `shift [N]`."""
    count = number(words[1]) if len(words) > 1 else 1
    if count > len(shell.args):
        raise ShellError(f"{count}: there are {len(shell.args)} parameters")
    del shell.args[:count]
    return 0


def set_(shell: Shell, words: list[str]) -> int:
    """Set options and parameters: `set [OPTION...] [PARAMETER...]`."""
    args = words[1:]
    if not args:
        for name in shell.variables.names():
            term.line(f"{name}={quote(shell.variables.get(name) or '')}")
        return 0
    rest = set_options(shell, args)
    if rest is not None:
        shell.args = rest
    return 0
