"""Running the tree: lists, && and ||, pipelines, groups.

It knows statuses and which parts of a pipeline are agents; simple commands are command.py's and
children process.py's.
"""

import signal

from llmsh.sh import command as simple
from llmsh.sh import redirect
from llmsh.sh.agent import segments
from llmsh.sh.errors import ExitShell, ShellError, ShellSyntaxError
from llmsh.sh.process import Body, Report, default_signals, foreground, spawn, subshell
from llmsh.sh.redirect import Saved
from llmsh.sh.shell import Shell
from llmsh.sh.tree import AndOr, Command, Group, Item, List, Pipeline, Simple


def run_list(shell: Shell, items: List) -> int:
    """Run the elements of a list in turn; the last status."""
    for item in items:
        if "n" in shell.options and not shell.interactive:
            break
        shell.status = _guarded(shell, item.command, item.background)
    return shell.status


def run_last(shell: Shell, items: List) -> int:
    """Run the last list of a text. A simple command takes the shell's place: whoever signals us
    means it, and there is one process less."""
    if len(items) == 1 and not items[0].background and not items[0].command.rest and not list(shell.jobs):
        pipeline = items[0].command.first
        command = pipeline.commands[0]
        if len(pipeline.commands) == 1 and isinstance(command, Simple) and not pipeline.negated and command.words:
            default_signals(shell)
            return simple.become(shell, command, None, lambda _: None)
    return run_list(shell, items)


def _guarded(shell: Shell, command: AndOr, background: bool) -> int:
    try:
        return _launch(shell, command) if background else _and_or(shell, command)
    except ShellSyntaxError:
        raise
    except ShellError as error:
        return shell.fail(error)


def _and_or(shell: Shell, command: AndOr) -> int:
    """Left to right; -e looks at the last pipeline only."""
    steps = (("", command.first), *command.rest)
    for index, (operator, pipeline) in enumerate(steps):
        if (operator == "&&" and shell.status != 0) or (operator == "||" and shell.status == 0):
            continue
        last = index == len(steps) - 1
        shell.tested += not last or pipeline.negated
        try:
            shell.status = _pipeline(shell, pipeline)
        finally:
            shell.tested -= not last or pipeline.negated
        if shell.status and last and not pipeline.negated and not shell.tested and "e" in shell.options:
            raise ExitShell(shell.status)
    return shell.status


def _pipeline(shell: Shell, pipeline: Pipeline) -> int:
    if len(pipeline.commands) == 1:
        status = _command(shell, pipeline.commands[0], pipeline.text)
    else:
        status = foreground(shell, spawn(shell, _bodies(shell, pipeline), pipeline.text, background=False))
    return int(not status) if pipeline.negated else status


def _command(shell: Shell, command: Command, text: str) -> int:
    if isinstance(command, Simple):
        return simple.run(shell, command, text)
    if command.subshell:
        return foreground(shell, spawn(shell, [_body(shell, command)], text, background=False))
    return _group(shell, command)


def _group(shell: Shell, group: Group) -> int:
    saved: Saved = []
    shell.saved.append(saved)
    try:
        if not simple.redirected(shell, group.redirects, saved):
            return 1
        return run_list(shell, group.body)
    finally:
        shell.saved.pop()
        redirect.restore(saved)


# Children.


def _bodies(shell: Shell, pipeline: Pipeline) -> list[Body]:
    """What each child of a pipeline runs: a segment of agents, or one command."""
    return [
        _body(shell, segment[0]) if len(segment) == 1 else _agents(shell, segment)
        for segment in segments(pipeline.commands)
    ]


def _body(shell: Shell, command: Command) -> Body:
    if isinstance(command, Simple):
        return lambda report: simple.become(shell, command, None, report)

    def body(report: Report) -> int:
        report([])
        if not simple.redirected(shell, command.redirects, None):
            return 1
        return run_list(shell, command.body)

    return body


def _agents(shell: Shell, segment: list[Command]) -> Body:
    def body(report: Report) -> int:
        from llmsh.sh import agent

        return agent.become(shell, [c for c in segment if isinstance(c, Simple)], report)

    return body


def _launch(shell: Shell, command: AndOr) -> int:
    """Start an and-or list in the background; $! is its agent's pid, else its process's."""
    if command.rest or command.first.negated:
        bodies = [subshell(shell, (Item(command, background=False),))]
    else:
        bodies = _bodies(shell, command.first)
    job = spawn(shell, bodies, command.text, background=True)
    shell.jobs.list(job)
    if not shell.interactive:
        shell.jobs.prune(shell.pipefail)
    last = job.processes[-1]
    try:
        job.hear(block=True)
    except KeyboardInterrupt:
        job.signal(signal.SIGINT)
        raise
    shell.last_background = last.agents[-1] if last.agents else last.pid
    if shell.interactive:
        shell.complain_plain(f"[{job.number}] {shell.last_background}")
    return 0
