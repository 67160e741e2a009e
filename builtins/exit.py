"""exit: of the shell, which has it built in; outside it says so. See exit(1)."""

from llmsh.lib.command import Command
from llmsh.lib.shellcommand import NOTES, outside

COMMAND = Command("exit", "end the shell", ("[STATUS]",), notes=NOTES)

main = outside(COMMAND)
