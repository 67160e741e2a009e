"""The `llmsh` program: finds what its first word asks for and runs it, loading little.

`llmsh NAME ...` is a command of builtins/; everything else (a terminal, -c, a script) is the shell's,
which is loaded only then.
"""

import os
import sys

from llmsh.abi.light import signal
from llmsh.abi.version import BUILD
from llmsh.lib import commands, term


def _standard_descriptors() -> None:
    """Open those of 0, 1, 2 that are closed, the wrong way round, so that using them is an error
    and no socket of ours takes their numbers."""
    for fd, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open("/dev/null", mode)


def _unix_signals() -> None:
    """Ctrl-C and a reader that goes away end us as they end any program, without a word."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _shell(argv: list[str]) -> int:
    from llmsh.sh.main import main as shell

    # The shell handles Ctrl-C and broken pipes itself.
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return int(shell(argv))


def _is_shell(argv: list[str]) -> bool:
    return not argv or "/" in argv[0] or (argv[0][:1] in "-+" and argv[0] not in ("--version", "--help", "-h"))


def _about(option: str) -> int:
    try:
        if option == "--version":
            term.line(f"llmsh {BUILD}")
        else:
            from llmsh.cli.typer_app import help_text

            term.out(help_text())
    except OSError as exc:
        term.complain("llmsh", f"write error: {exc.strerror}")
        return 1
    return 0


def main() -> int:
    """The console script. Returns the exit status."""
    _standard_descriptors()
    argv = sys.argv[1:]
    _unix_signals()
    if _is_shell(argv):
        return _shell(argv)
    if argv[0] in ("--help", "-h", "--version"):
        return _about(argv[0])
    return commands.invoke(argv[0], argv[1:])
