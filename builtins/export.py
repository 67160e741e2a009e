"""export: of the shell, which has it built in; outside it says so. See export(1)."""

from llmsh.lib.command import Command
from llmsh.lib.shellcommand import NOTES, outside

COMMAND = Command(
    "export", "hand variables of the shell on to the commands it starts", ("[NAME[=VALUE]]...",), notes=NOTES
)

main = outside(COMMAND)
