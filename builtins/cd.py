"""cd: of the shell, which has it built in; outside it says so. See cd(1)."""

from llmsh.lib.command import Command
from llmsh.lib.shellcommand import NOTES, outside

COMMAND = Command("cd", "change the working folder of the shell", ("[FOLDER]",), notes=NOTES)

main = outside(COMMAND)
