"""The shell on a terminal: prompts, reports of jobs, what Ctrl-C, Ctrl-D and a hang-up mean.

It knows no line editor: editor.py does, and is loaded when the first prompt is shown.
"""

import os
import signal
from types import FrameType
from typing import Protocol

from llmsh.abi import paths
from llmsh.lib import term
from llmsh.sh.errors import ExitShell, Interrupted, ShellError, ShellSyntaxError
from llmsh.sh.exec import run_list
from llmsh.sh.expand import Expander
from llmsh.sh.lexer import Lexer
from llmsh.sh.parser import Parser
from llmsh.sh.process import die, failed, job_line
from llmsh.sh.shell import Shell
from llmsh.sh.source import LINE_MAX, File, Input, check
from llmsh.sh.special_jobs import hang_up
from llmsh.sh.terminal import Terminal
from llmsh.sh.tree import List


class Editor(Protocol):
    """Where lines come from."""

    def line(self, prompt: str) -> str | None:
        """A line without its newline; None at the end. Raises KeyboardInterrupt."""


class _Plain:
    """Lines of a standard input that is no terminal (-i)."""

    def __init__(self) -> None:
        self._input = Input()

    def line(self, prompt: str) -> str | None:
        term.write_all(2, term.encoded(2, prompt))
        text = self._input.more()
        return None if text is None else text.removesuffix("\n")


class _Prompter:
    """Gives the lexer lines: the first of a command at PS1, its others at PS2."""

    def __init__(self, shell: Shell, editor: Editor) -> None:
        self._shell = shell
        self._editor = editor
        self.fresh = True

    def more(self) -> str | None:
        prompt = prompt_text(self._shell) if self.fresh else self._shell.parameter("PS2") or "> "
        self.fresh = False
        line = self._editor.line(prompt)
        if line is None:
            return None
        if len(line) > LINE_MAX:
            raise ShellSyntaxError(1, f"a line of more than {LINE_MAX} bytes")
        return check(line + "\n", 1)


class _Visible:
    """The shell, its values made fit for a terminal: a folder's name must not move the cursor."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self.positional = shell.positional
        self.assign = shell.assign
        self.option = shell.option

    def parameter(self, name: str) -> str | None:
        value = self._shell.parameter(name)
        return None if value is None else term.visible(value)

    def capture(self, body: List) -> str:
        return term.visible(self._shell.capture(body))


def prompt_text(shell: Shell) -> str:
    """PS1, its variables expanded; without it the folder and a $."""
    own = shell.variables.get("PS1")
    if own is not None:
        lexer = Lexer(own)
        Parser(lexer)  # for command substitutions
        try:
            return Expander(_Visible(shell)).text(lexer.document())
        except ShellError:
            return own
    here = shell.variables.get("PWD") or ""
    home = shell.variables.get("HOME")
    if home and (here == home or here.startswith(home.rstrip("/") + "/")):
        here = "~" + here[len(home.rstrip("/")) :]
    return term.visible(here).replace("\n", "?") + " $ "


def main(shell: Shell) -> int:
    """Be an interactive shell; its exit status."""
    shell.interactive = True
    if os.isatty(0):
        terminal = Terminal(0)
        if terminal.take():
            shell.terminal = terminal
            shell.options.add("m")
        else:
            shell.complain("no job control: this is not our terminal")
    _signals(shell)
    try:
        return _session(shell)
    finally:
        if shell.terminal:
            shell.terminal.leave()


def _session(shell: Shell) -> int:
    try:
        _startup(shell)
        return _loop(shell, _editor(shell))
    except ExitShell as error:
        return error.status


def _signals(shell: Shell) -> None:
    def hup(_number: int, _frame: FrameType | None) -> None:
        hang_up(shell)
        if shell.terminal:
            shell.terminal.leave()
        die(signal.SIGHUP)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, hup)


def _editor(shell: Shell) -> Editor:
    if not os.isatty(0):
        return _Plain()
    from llmsh.sh.editor import Session

    return Session(shell)


def _startup(shell: Shell) -> None:
    """Run the user's startup file."""
    path = os.path.join(paths.config(), "llmshrc")
    if not os.path.isfile(path):
        return
    source = File(path)
    try:
        parser = Parser(Lexer(more=source.more))
        while (items := parser.complete()) is not None:
            shell.status = run_list(shell, items)
    except ShellError as error:
        shell.complain(f"{path}: {error}")
    except (KeyboardInterrupt, Interrupted):
        shell.complain(f"{path}: interrupted")
    finally:
        source.close()


def _loop(shell: Shell, editor: Editor) -> int:
    prompter = _Prompter(shell, editor)
    parser = Parser(Lexer(more=prompter.more))
    while True:
        try:
            prompter.fresh = True
            shell.turn += 1
            notify(shell)
            items = parser.complete()
            if items is not None:
                shell.status = run_list(shell, items)
                continue
            if _may_leave(shell):
                return shell.status
        except ShellError as error:
            shell.complain(str(error))
            shell.status = error.status
        except (KeyboardInterrupt, Interrupted):
            shell.status = 130
            shell.tested = 0
        except ExitShell:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must not take a user's session with it
            if shell.terminal and not os.isatty(0):
                # The terminal is gone and its HUP with it: there is nobody to go on for.
                hang_up(shell)
                return 128 + signal.SIGHUP
            shell.status = failed(shell, error)
        parser = Parser(Lexer(more=prompter.more))


def _may_leave(shell: Shell) -> bool:
    """Ctrl-D: at once, but once a word about stopped jobs."""
    cause = shell.held_back()
    if cause:
        shell.complain(cause)
    return not cause


def notify(shell: Shell) -> None:
    """Tell of jobs whose state has changed."""
    shell.jobs.poll()
    for job in list(shell.jobs):
        state = job.state()
        if state not in (job.told, "Running"):
            shell.complain_plain(job_line(shell, job))
            job.told = state
        if job.done:
            shell.jobs.forget(job, shell.pipefail)
