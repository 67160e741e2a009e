"""help: the commands with a line each, or one command's options. See help(1)."""

from llmsh.lib import commands, launch, term
from llmsh.lib.command import JSON, Command
from llmsh.lib.forms import record
from llmsh.lib.options import help_text, parse

COMMAND = Command(
    "help",
    "list the commands, or show one command's or agent's options",
    ("[NAME]...",),
    (JSON,),
    operands="command",
)


def _one(name: str, json: bool) -> int:
    module = commands.load(name)
    command = module.COMMAND if module is not None else None
    if command is None and launch.is_agent(name):
        from llmsh.lib.start import agent_command

        command = agent_command(name)
    if command is not None:
        if json:
            record({"name": name, "summary": command.summary})
        else:
            term.out(help_text(command))
        return 0
    term.complain("help", f"{name}: no such command or agent")
    return 1


def _all(json: bool) -> int:
    rows = [(name, module.COMMAND.summary) for name in commands.names() if (module := commands.load(name))]
    if json:
        for name, summary in rows:
            record({"name": name, "summary": summary})
        return 0
    width = term.columns() or 10_000
    for name, summary in rows:
        term.line(f"{name:<10} {summary}"[:width])
    if term.columns():
        term.line("\n`help NAME` shows a command's options; `agents ls` lists the agents.")
    return 0


def main(argv: list[str]) -> int:
    """Print; 1 when a name is unknown."""
    given = parse(COMMAND, argv)
    if not given.operands:
        return _all(given.flag("json"))
    return max(_one(name, given.flag("json")) for name in given.operands)
