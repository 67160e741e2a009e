"""The shell as a command: llmsh [-c TEXT [NAME]] [FILE] [ARG...]; without any, a terminal or standard input.

It knows how a shell begins and ends; what happens between is exec.py's and interactive.py's.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

from llmsh.lib import term
from llmsh.sh.errors import ExitShell, Interrupted, ShellError, ShellSyntaxError
from llmsh.sh.exec import run_last, run_list
from llmsh.sh.lexer import Lexer
from llmsh.sh.options import set_options
from llmsh.sh.parser import Parser
from llmsh.sh.process import die, failed
from llmsh.sh.shell import Shell
from llmsh.sh.source import File, Input, String

USAGE = """\
Usage: llmsh [-aefnuvx] [-o OPTION] [FILE [ARG...]]
       llmsh [-aefnuvx] [-o OPTION] -c COMMANDS [NAME [ARG...]]
       llmsh [-i] [-s [ARG...]]

The shell: runs agents, builtins and programs side by side. On a terminal it is interactive.

  -c COMMANDS   run these
  -i            be interactive
  -s            read standard input, and take arguments
  -e -u -x ...  options of `set`
"""


class _Line(NamedTuple):
    text: str | None
    interactive: bool
    stdin: bool
    rest: list[str]


def _read_line(shell: Shell, argv: list[str]) -> _Line:
    """Take the options off a command line. Raises ShellError."""
    has_text = interactive = stdin = False
    at = 0
    while at < len(argv) and len(argv[at]) > 1 and argv[at][0] in "-+":
        word = argv[at]
        at += 1
        if word == "--":
            break
        if word == "--help":
            term.out(USAGE)
            raise ExitShell(0)
        letters = word[1:]
        if word[0] == "-":
            has_text |= "c" in letters
            interactive |= "i" in letters
            stdin |= "s" in letters
            letters = letters.translate({ord(c): None for c in "cis"})
        if letters:
            takes = letters.count("o")
            set_options(shell, [word[0] + letters, *argv[at : at + takes]])
            at += takes
    rest = argv[at:]
    if not has_text:
        return _Line(None, interactive, stdin, rest)
    if not rest:
        raise ShellError("-c: commands are needed")
    return _Line(rest[0], interactive, stdin, rest[1:])


def main(argv: list[str]) -> int:
    """Be the shell; its exit status. `argv` has no program name."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
    shell = Shell(run_list)
    try:
        line = _read_line(shell, argv)
    except ExitShell as error:
        return error.status
    except ShellError as error:
        shell.complain(str(error))
        return 2
    except OSError as error:
        shell.complain(f"write error: {error.strerror}")
        return 1
    if line.rest and not line.stdin:
        shell.name = line.rest[0]
        shell.args = line.rest[1:]
    elif line.rest:
        shell.args = line.rest
    reads = line.text is None and (line.stdin or not line.rest)
    if line.interactive or (reads and os.isatty(0) and os.isatty(2)):
        from llmsh.sh.interactive import main as interactive

        return interactive(shell)
    return _guarded(shell, lambda: _script(shell, line, reads))


def _script(shell: Shell, line: _Line, reads: bool) -> int:
    if line.text is not None:
        return run_all(shell, String(line.text).more, last=True)
    if reads:
        return run_all(shell, Input().more)
    return run_all(shell, File(line.rest[0]).more)


def run_all(shell: Shell, more: Callable[[], str | None], last: bool = False) -> int:
    """Run a text to its end. `last`: nothing follows it, so its last command may take our place."""
    parser = Parser(Lexer(more=more))
    while (items := parser.complete()) is not None:
        if last and parser.is_spent():
            return run_last(shell, items)
        shell.status = run_list(shell, items)
    return shell.status


def _guarded(shell: Shell, body: Callable[[], int]) -> int:
    """Run a script; how it ends becomes a status, or a death by INT."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        shell.interrupted = True
        if not shell.waiting:
            raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return body()
    except ExitShell as error:
        return error.status
    except ShellSyntaxError as error:
        shell.complain(str(error))
        return 2
    except ShellError as error:
        shell.complain(str(error))
        return error.status
    except (KeyboardInterrupt, Interrupted):
        die(signal.SIGINT)
    except Exception as error:  # noqa: BLE001 - the last door before a user, who must see no trace
        return failed(shell, error)
