"""kill: send a signal to processes and groups, agents and the machine's own alike. See kill(1)."""

from llmsh.abi import signals
from llmsh.abi.errors import Error
from llmsh.abi.light import signal as machine
from llmsh.lib import targets, term
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "kill",
    "send a signal to processes",
    ("[-s SIGNAL | -SIGNAL] PID...", "-l [SIGNAL]...", "-L"),
    (
        takes("-s", "--signal", value="SIGNAL", help="which signal, by name or number (TERM)", complete="signal"),
        flag("-l", "--list", help="list the signals' names; of a number or exit status its name, of a name its number"),
        flag("-L", "--table", help="list names and numbers"),
    ),
    operands="pid",
    notes="A negative PID is a process group (after -- or a signal), -1 every agent and 0 the caller's own "
    "group; pids up to 4194303 are the machine's own. 0 as the signal only asks whether the "
    "process is there. STOP answers once the process has stopped.",
)


def _split(argv: list[str]) -> list[str]:
    """`-9`, `-KILL`, `-SIGKILL` become `-s`; negative pids after a signal need no `--`."""
    out: list[str] = []
    signalled = False
    for at, word in enumerate(argv):
        if word == "--":
            return [*out, *argv[at:]]
        name = word[1:]
        if word[:1] == "-" and name and not signalled and not word.startswith(("--", "-s")) and _is_signal(name):
            out += ["-s", name]
            signalled = True
        elif word[:1] == "-" and len(name) > 1 and name.isalpha() and name[0] not in "slL" and not signalled:
            raise Usage(f"{name}: no such signal")
        elif word[:1] == "-" and name.isdigit() and signalled:
            return [*out, "--", *argv[at:]]
        else:
            signalled = signalled or word in ("-s", "--signal") or word.startswith(("--signal=", "-s"))
            out.append(word)
    return out


def _is_signal(name: str) -> bool:
    if name in ("l", "L"):
        return False
    try:
        _number(name)
    except Usage:
        return name.isdigit()
    return True


def _number(word: str) -> int:
    """A signal of ours, or one that only the machine's processes know."""
    try:
        return signals.number(word)
    except ValueError:
        name = word.upper().removeprefix("SIG")
        if word.isdigit() and int(word) <= machine.NSIG - 1:
            return int(word)
        number = getattr(machine, f"SIG{name}", None) if name.isalnum() else None
        if isinstance(number, int):
            return int(number)
        raise Usage(f"{word}: no such signal") from None


def _list(words: list[str]) -> None:
    if not words:
        term.line(" ".join(name for name, _ in signals.SIGNALS.values()))
    for word in words:
        number = int(word) if word.isascii() and word.isdigit() else 0
        # An exit status of a process that died by a signal names the signal, as in bash.
        if 128 < number < 128 + machine.NSIG:
            term.line(signals.name(_number(str(number - 128))))
        else:
            term.line(signals.name(_number(word)) if number else str(_number(word)))


def _table() -> None:
    cells = [f"{number:2} {name:<8}" for number, (name, _) in signals.SIGNALS.items()]
    for at in range(0, len(cells), 7):
        term.line("".join(cells[at : at + 7]).rstrip())


def main(argv: list[str]) -> int:
    """Signal each target; 1 when one could not be."""
    given = parse(COMMAND, _split(argv))
    if given.flag("list"):
        _list(given.operands)
        return 0
    if given.flag("table"):
        _table()
        return 0
    number = _number(given.text("signal", "TERM"))
    if not given.operands:
        raise Usage("which process?")
    whom = [targets.pid(word) for word in given.operands]
    kernel = targets.Machine()
    status = 0
    for pid in whom:
        try:
            kernel.kill(pid, number)
        except Error as error:
            if error.code not in ("ESRCH", "EPERM", "EINVAL"):
                raise
            term.complain("kill", error.detail)
            status = 1
    return status
