"""The options of `set` and of the command line: -e, -u, -x, -o pipefail ...

It knows their names and the shell that they belong to.
"""

from llmsh.lib import term
from llmsh.sh.errors import ShellError
from llmsh.sh.shell import OPTIONS, Shell


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
        if as_input:
            term.line(f"set {'-' if state[name] else '+'}o {name}")
        else:
            term.line(f"{name:<16}{'on' if state[name] else 'off'}")
