"""The line editor: prompt-toolkit with the shell's history and completion.

The only importer of prompt_toolkit. It knows lines, and not what becomes of them.
"""

from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, AnyFormattedText
from prompt_toolkit.history import History
from prompt_toolkit.output import create_output

from llmsh.lib import term
from llmsh.sh import history
from llmsh.sh.complete import candidates
from llmsh.sh.shell import Shell


class _History(History):
    """The lines in the shell's file."""

    def load_history_strings(self) -> Iterable[str]:
        return reversed(history.load())

    def store_string(self, string: str) -> None:
        history.append(string)


class _Completer(Completer):
    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        line = document.text_before_cursor
        try:
            start, found = candidates(self._shell, line)
        except Exception:  # noqa: BLE001 - prompt_toolkit would show a trace; nothing to offer is the worst there is
            return
        for item in found:
            tail = "" if item.text.endswith("/") else " "
            yield Completion(
                item.text + (tail if len(found) == 1 else ""),
                start - len(line),
                display=term.visible(item.shown),
                display_meta=item.kind,
            )


class Session:
    """A terminal's lines."""

    def __init__(self, shell: Shell) -> None:
        self._session: PromptSession[str] = PromptSession(
            # Standard output may be a file; the terminal is then standard error's.
            output=create_output(always_prefer_tty=True),
            history=_History(),
            completer=_Completer(shell),
            complete_while_typing=False,
            enable_system_prompt=False,
            enable_suspend=False,
        )

    def line(self, prompt: str) -> str | None:
        """A line; None at Ctrl-D on an empty one. Raises KeyboardInterrupt."""
        message: AnyFormattedText = ANSI(prompt) if "\x1b" in prompt else prompt
        try:
            return self._session.prompt(message)
        except EOFError:
            return None
