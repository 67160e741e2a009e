"""What ends a command, a list or the shell early. It knows no messages but those it carries.

ShellError              the command fails; a script ends when POSIX says so
 |- ShellSyntaxError    the text is no program: status 2
 |- ExpansionError      a word cannot be expanded: unset under -u, ${x:?}
 `- RedirectError       a redirection cannot be made
ExitShell               exit, or -e
Interrupted             INT: back to the prompt, or the shell dies by it
"""


class ShellError(Exception):
    """One line for the user."""

    status = 1


class ShellSyntaxError(ShellError):
    """The text is no program. `line` counts from 1."""

    status = 2

    def __init__(self, line: int, cause: str, file: str = "") -> None:
        self.line = line
        self.cause = cause
        super().__init__(f"{file}: line {line}: {cause}" if file else f"line {line}: {cause}")


class ExpansionError(ShellError):
    """A word cannot be expanded: ends a script."""

    status = 2


class RedirectError(ShellError):
    """A redirection cannot be made: the command does not run."""


class ExitShell(Exception):
    """The shell, or a child of it, ends with this status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class Interrupted(Exception):
    """INT ended what was running."""
