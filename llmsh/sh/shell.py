"""The state of one shell: parameters, options, jobs. What runs commands is passed it, and changes it.

It knows no grammar and starts nothing itself.
"""

import os
import signal
from collections.abc import Callable

from llmsh.lib import term
from llmsh.sh.errors import ExitShell, ShellError
from llmsh.sh.expand import Expander
from llmsh.sh.job import Jobs
from llmsh.sh.redirect import Saved
from llmsh.sh.terminal import Terminal
from llmsh.sh.tree import List
from llmsh.sh.variables import Variables

OPTIONS = {
    "a": "allexport",
    "C": "noclobber",
    "e": "errexit",
    "f": "noglob",
    "m": "monitor",
    "n": "noexec",
    "u": "nounset",
    "v": "verbose",
    "x": "xtrace",
}
"""Options of `set` by letter; pipefail has a name only."""

_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_RESTORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, *_STOPS)


class Shell:
    """One shell, or a child of it that is to run a part of its program."""

    def __init__(self, run: Callable[["Shell", List], int], name: str = "llmsh", args: list[str] | None = None) -> None:
        self.run = run
        # Parameters.
        self.name = name
        self.args = list(args or [])
        self.variables = Variables()
        self.status = 0
        self.pid = os.getpid()
        self.last_background = 0
        # Options.
        self.options: set[str] = set()
        self.pipefail = False
        self.interactive = False
        # What is under way.
        self.jobs = Jobs()
        self.terminal: Terminal | None = None
        self.saved: list[Saved] = []
        self.tested = 0
        """Greater than 0 where a failure is asked about, so that -e does not apply."""
        self.sourced = 0
        self.substituted: int | None = None
        """Status of the last command substitution of the command at hand."""
        self.is_child = False
        self.turn = 1
        """Counts the commands of an interactive shell."""
        self._warned = -1
        """The turn in which leaving was refused because of stopped jobs."""
        self.waiting = False
        self.interrupted = False
        self.ignored = frozenset(n for n in _RESTORED if signal.getsignal(n) == signal.SIG_IGN)
        """Signals that were ignored when the shell began: they stay so in its children."""
        self.expander = Expander(self)
        self._set_defaults()

    def _set_defaults(self) -> None:
        here = self.variables.get("PWD")
        try:
            if not here or not os.path.isabs(here) or not os.path.samefile(here, "."):
                here = os.getcwd()
        except OSError:
            here = here or "/"
        self.variables.set("PWD", here)
        self.variables.set("IFS", " \t\n")
        self.variables.set("PPID", str(os.getppid()))
        self.variables.set("OPTIND", "1")
        self.variables.export("IFS", on=False)

    @property
    def job_control(self) -> bool:
        """Whether jobs get process groups of their own."""
        return "m" in self.options and not self.is_child

    # What expansion asks.

    def parameter(self, name: str) -> str | None:
        """The value of a variable or a special parameter; None when unset."""
        if name.isdigit():
            index = int(name[:9])
            if index == 0:
                return self.name
            return self.args[index - 1] if index <= len(self.args) else None
        special = _SPECIAL.get(name)
        return special(self) if special else self.variables.get(name)

    def positional(self) -> list[str]:
        """$1 and up."""
        return self.args

    def assign(self, name: str, value: str) -> None:
        """Set a variable, as -a asks."""
        self.variables.set(name, value)
        if "a" in self.options:
            self.variables.export(name)

    def option(self, letter: str) -> bool:
        """Whether an option of `set` is on."""
        return letter in self.options

    def capture(self, body: List) -> str:
        """The output of a command substitution."""
        from llmsh.sh.process import capture

        return capture(self, body)

    def held_back(self) -> str:
        """Why an interactive shell should not end now; asked again at once, it may."""
        if not self.interactive or self._warned == self.turn - 1:
            return ""
        # One that was killed since the prompt holds nobody back.
        self.jobs.poll()
        if not any(job.stopped for job in self.jobs):
            return ""
        self._warned = self.turn
        return "there are stopped jobs"

    # What it says.

    def complain(self, cause: str) -> None:
        """One line on standard error."""
        term.complain("llmsh", cause)

    def complain_plain(self, text: str) -> None:
        """Text of the shell's own on standard error, as it is."""
        try:
            term.write_all(2, term.encoded(2, text + "\n"))
        except OSError:
            return

    def fail(self, error: ShellError) -> int:
        """Report an error; ends a script whose error POSIX says ends it. The status, otherwise."""
        self.complain(str(error))
        if error.status == 2 and not self.interactive:
            raise ExitShell(2)
        return error.status

    def flags(self) -> str:
        """$-."""
        return "".join(sorted(self.options)) + ("i" if self.interactive else "")


_SPECIAL: dict[str, Callable[[Shell], str | None]] = {
    "?": lambda shell: str(shell.status),
    "$": lambda shell: str(shell.pid),
    "!": lambda shell: str(shell.last_background) if shell.last_background else None,
    "#": lambda shell: str(len(shell.args)),
    "-": lambda shell: shell.flags(),
}
