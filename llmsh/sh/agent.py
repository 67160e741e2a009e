"""Agents in a pipeline: which commands may share a child, and what that child does.

Adjacent agents run in one child, joined by the kernel's own pipes, so that no byte between them
leaves it. It knows the client library; what agents are is the kernel's.
"""

from llmsh.abi.errors import Error
from llmsh.lib import term
from llmsh.sh import command as simple
from llmsh.sh import lookup
from llmsh.sh.process import Report
from llmsh.sh.shell import Shell
from llmsh.sh.tree import Command, Simple, static_text


def segments(commands: tuple[Command, ...]) -> list[list[Command]]:
    """Commands grouped by the child that runs them: runs of adjacent agents, all others alone."""
    out: list[list[Command]] = []
    for command in commands:
        if out and _continues(out[-1][-1]) and _follows(command):
            out[-1].append(command)
        else:
            out.append([command])
    return out


def _continues(command: Command) -> bool:
    """Whether its output can stay in the kernel: an agent that redirects its input at most."""
    return _is_agent(command) and all(r.fd == 0 for r in command.redirects)


def _follows(command: Command) -> bool:
    """Whether its input can stay in the kernel: an agent that redirects its output at most."""
    return _is_agent(command) and all(r.fd == 1 for r in command.redirects)


def _is_agent(command: Command) -> bool:
    """Whether a command is an agent for certain, before anything is expanded."""
    if not isinstance(command, Simple) or command.assignments:
        return False
    words: list[str] = []
    for word in command.words:
        text = static_text(word)
        if text is None:
            break
        words.append(text)
    only, names = lookup.forced(words)
    if not names or names[0] in ("command", "agent"):
        return False
    return lookup.find(names[0], "", only).kind == lookup.AGENT


def become(shell: Shell, segment: list[Simple], report: Report) -> int:
    """In a child: be the agents of a segment."""
    lines = [simple.resolve(shell, shell.expander.fields(command.words))[1] for command in segment]
    for command in segment:
        if not simple.redirected(shell, command.redirects, None):
            return 1
    return run(lines, report)


def run(lines: list[list[str]], report: Report) -> int:
    """In a child that has its descriptors: run agents given by their command lines, end as they do."""
    from llmsh.lib import foreground, spawn
    from llmsh.lib.leave import leave
    from llmsh.lib.options import Shown, Usage
    from llmsh.lib.start import agent_spec

    name = lines[0][0]
    try:
        specs = [agent_spec(line[0], line[1:]) for line in lines]
        foreground.started = report
        endings = foreground.run_agents(spawn.connect(), specs, name=name)
    except Shown as shown:
        term.out(str(shown))
        return 0
    except Usage as error:
        term.complain(name, f"{error} (see `{name} --help`)")
        return 2
    except Error as error:
        term.complain(name, error.detail)
        return error.status
    return leave(endings[-1])
