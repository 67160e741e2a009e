"""The whole command line as Typer describes it, made from the commands' tables: `llmsh --help`.

Loading it takes longer than any short command runs, so nothing but that comes here. It describes
commands and runs none.
"""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer
from typer.main import get_command

from llmsh.lib import commands
from llmsh.lib.command import Command, Option


def _parameter(option: Option) -> Parameter:
    """An option as Typer reads it from a function's signature."""
    info: Any = typer.Option(*option.flags, help=option.help, metavar=option.value or None, show_default=False)
    kind: Any = list[str] if option.repeat else str if option.value else bool
    default: Any = [] if option.repeat else "" if option.value else False
    name = "option_" + "".join(char if char.isalnum() else "_" for char in option.flags[-1])
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])


def _described(command: Command) -> Callable[..., None]:
    """A function whose signature is the command's table."""

    def run(**_: Any) -> None:
        """Described here; lib.commands runs it."""

    words: Any = typer.Argument(metavar="ARGUMENT", show_default=False)
    operands = Parameter("words", Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[list[str] | None, words])
    parameters = [operands, *map(_parameter, command.options)]
    run.__dict__["__signature__"] = Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def app() -> typer.Typer:
    """Every command with its options."""
    made = typer.Typer(
        name="llmsh",
        help="Language models as processes: run, list, stop, continue, kill and pipe agents.\n\n"
        "Without a command it is the shell; -c COMMANDS or a FILE with a slash in its name is a script.",
        add_completion=False,
        rich_markup_mode=None,
    )
    for name in commands.names():
        module = commands.load(name)
        if module is not None:
            text = f"{module.COMMAND.summary[:1].upper()}{module.COMMAND.summary[1:]}.\n\n{module.COMMAND.notes}"
            made.command(name, help=text.strip(), short_help=module.COMMAND.summary)(_described(module.COMMAND))
    return made


def help_text() -> str:
    """What `llmsh --help` prints."""
    group = get_command(app())
    return group.get_help(group.make_context("llmsh", [], resilient_parsing=True)) + "\n"
