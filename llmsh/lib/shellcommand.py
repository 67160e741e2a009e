"""Commands that act on the shell itself, as they are outside it: they say where they work.

The shell has each of them built in (sh/special.py). This knows none by name.
"""

from llmsh.abi.errors import Error
from llmsh.abi.light import Callable
from llmsh.lib.command import Command
from llmsh.lib.options import parse

NOTES = "It acts on the shell itself, so only the shell (`llmsh`) can do it."


def outside(command: Command) -> Callable[[list[str]], int]:
    """The `main` of such a command: another process's shell is out of reach, so it refuses."""

    def main(argv: list[str]) -> int:
        parse(command, argv)
        raise Error("ENOTSUP", "only the shell can do this; start it with `llmsh`")

    return main
