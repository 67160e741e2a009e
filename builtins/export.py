"""export: of the shell, which has it built in; outside it says so. See export(1)."""

from llmsh.abi.errors import Error
from llmsh.lib.command import Command
from llmsh.lib.options import parse

COMMAND = Command(
    "export",
    "hand variables of the shell on to the commands it starts",
    ("[NAME[=VALUE]]...",),
    notes="It acts on the shell itself, so only the shell (`llmsh`) can do it.",
)


def main(argv: list[str]) -> int:
    """Refuse: another process's shell is out of reach."""
    parse(COMMAND, argv)
    raise Error("ENOTSUP", "only the shell can do this; start it with `llmsh`")
