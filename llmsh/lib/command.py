"""What a command says of itself: its name, options and operands, as one table.

Parsing, --help, completions, manual checks and the typer description are all made from it. It knows
no command and reads no argument.
"""

from llmsh.abi.light import NamedTuple


class Option(NamedTuple):
    """One option. `flags` holds its spellings with their dashes, the long one last.

    `kind`: flag, str, int, num, seconds (5, 1.5, 2m, 1h, 1d) or size (4096, 4K, 1M). `value` names
    the value in help and is empty for a flag. `complete` says what a value may be: file, pid, agent,
    model, signal, column or nothing.
    """

    flags: tuple[str, ...]
    help: str
    value: str = ""
    kind: str = "flag"
    repeat: bool = False
    choices: tuple[str, ...] = ()
    complete: str = ""

    @property
    def name(self) -> str:
        """The name its value goes by: the last spelling without dashes."""
        return self.flags[-1].lstrip("-")


class Command(NamedTuple):
    """One command. `usage` holds a line for each form, without the command's name.

    `operands` says what completion offers after the options: pid, agent, command, model, file,
    signal or nothing. `posix`: the first operand ends the options, because what follows is another
    command. `alone`: it needs an OS process of its own (it may die by a signal or exec), so a shell
    forks for it.
    """

    name: str
    summary: str
    usage: tuple[str, ...] = ("",)
    options: tuple[Option, ...] = ()
    operands: str = ""
    posix: bool = False
    alone: bool = False
    notes: str = ""
    choices: tuple[str, ...] = ()


JSON = Option(("--json",), "print one JSON record a line")
HELP = Option(("--help",), "show this and exit")


def flag(*flags: str, help: str) -> Option:
    """An option without a value."""
    return Option(flags, help)


def takes(
    *flags: str,
    value: str,
    help: str,
    kind: str = "str",
    repeat: bool = False,
    choices: tuple[str, ...] = (),
    complete: str = "",
) -> Option:
    """An option with a value."""
    return Option(flags, help, value, kind, repeat, choices, complete)
