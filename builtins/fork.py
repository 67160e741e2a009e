"""fork: make a process that goes on from where another is. See fork(1)."""

from llmsh.lib import calls, foreground, targets, term
from llmsh.lib.command import Command, flag, takes
from llmsh.lib.leave import leave
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "fork",
    "make a process that goes on from where another is, on the same cells",
    ("[--seed N] PID [-]", "-d [--seed N] PID"),
    (
        flag("-d", "--detach", help="in the background: print its pid; its output goes to its log (see logs)"),
        takes("--seed", value="N", kind="int", help="its random numbers from here on; else its parent's"),
    ),
    operands="pid",
    alone=True,
    notes="The child has its parent's program, context, limits and nice value, and says what its parent has yet to "
    "say. What the parent has said already it does not say again. Its descriptors are its own: it reads nothing, or "
    "with `-` this command's standard input. A child of a stopped process runs.",
)


def main(argv: list[str]) -> int:
    """Fork one process; stands for the child until it ends, or prints its pid with -d."""
    given = parse(COMMAND, argv)
    if not given.operands:
        raise Usage("which process?")
    name, *rest = given.operands
    if rest not in ([], ["-"]):
        raise Usage(f"{rest[0]}: one process a call")
    detach, seed = given.flag("detach"), given.number("seed", -1)
    if detach and rest:
        raise Usage("-d reads nothing")
    parent = targets.pid(name)
    if not targets.is_agent(parent) or parent < 0:
        raise targets.no_such(parent)
    conn = targets.Machine().conn(parent)
    if detach:
        term.line(str(calls.fork(conn, parent, seed=seed, stdout="log", stderr="log", detach=True)[0]))
        return 0
    stdin = "client" if rest else "null"
    pids = foreground.unstopped(lambda: [calls.fork(conn, parent, seed=seed, stdin=stdin)[0]])
    return leave(foreground.attend(conn, pids, name="fork")[-1])
