"""nice: run a command at another nice value, an agent or a program. See nice(1)."""

import os

from llmsh.abi.nice import clamp
from llmsh.lib import launch, term
from llmsh.lib.command import Command, takes
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "nice",
    "run a command with a nice value added to the present one; without a command, print that",
    ("[-n N] COMMAND [ARGUMENT]...", ""),
    (takes("-n", "--adjustment", value="N", kind="int", help="add N to the nice value (10)"),),
    operands="command",
    posix=True,
    alone=True,
)


def _numeric(argv: list[str]) -> list[str]:
    """The old form: -5 and --5 mean -n 5 and -n -5."""
    word = argv[0] if argv else ""
    if word[:1] == "-" and word[1:].lstrip("+-").isdigit() and word not in ("-", "--"):
        return ["-n", word[1:], *argv[1:]]
    return argv


def main(argv: list[str]) -> int:
    """Become the command; a nice value that may not be set is said and it runs all the same."""
    given = parse(COMMAND, _numeric(argv))
    now = os.getpriority(os.PRIO_PROCESS, 0)
    if not given.operands:
        if given.flag("adjustment"):
            raise Usage("which command?")
        term.line(str(now))
        return 0
    value = clamp(now + given.number("adjustment", 10))
    if (launch.llmsh_words(given.operands) or [""])[0] == "run":
        # Agents go by the kernel's nice value; this OS process, which waits for them, needs none.
        return launch.execute(given.operands, value)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, value)
    except PermissionError:  # nice(1) runs it all the same
        term.complain("nice", f"cannot set a nice value of {value}: permission denied")
    return launch.execute(given.operands)
