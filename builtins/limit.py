"""limit: what memory running agents may have, and who gives it up first. See limit(1)."""

from llmsh.abi.errors import Error
from llmsh.abi.limits import OOM_MAX, OOM_SAME
from llmsh.lib import calls, targets, term
from llmsh.lib.command import Command, takes
from llmsh.lib.options import Given, Usage, parse
from llmsh.lib.table import Column, lines

COMMAND = Command(
    "limit",
    "show or set the cells that groups of running agents may have, and who gives up cells first",
    ("[OPTION]... PID...",),
    (
        takes("-n", "--oom-score-adj", value="N", kind="int", help="-1000 to 1000: who has more leaves first"),
        takes("-g", "--group-cells", value="N", kind="int", help="cells of the whole process group; 0 for no limit"),
        takes("-s", "--session-cells", value="N", kind="int", help="cells of the whole session; 0 for no limit"),
    ),
    operands="pid",
    notes="A cell holds one token's keys and values. At a limit the processes of a group take turns: who deserves "
    "tokens least leaves the cells for an image in swap, as in a full cache; nobody outside the group notices. What "
    "processes share counts once for a group. A process that alone can never fit ends with status 1, and a line that "
    "says the sizes (ENOMEM). A limit goes with the last process of its group or session. "
    "Of those that could leave the cells, or lose their image where there is no room for it, the one with the highest "
    "oom_score_adj does so first; its log stays, and is computed again: nobody is killed for memory. 0 "
    "is usual; unlike on Linux, -1000 spares nobody when there is no one else.",
)
_COLUMNS = ("PID", "OOM", "GROUP", "USED", "SESSION", "USED")


def _value(given: Given, name: str, same: int, low: int, high: int) -> int:
    value = given.number(name, same)
    if given.flag(name) and not low <= value <= high:
        raise Usage(f"--{name}: expected {low} to {high}, found {value}")
    return value


def _cells(pid: int, row: calls.Row) -> list[str]:
    out = [str(pid), str(row["oom"])]
    for kind in ("group", "session"):
        out += [str(row[kind]), str(row[f"{kind}_used"])] if row[kind] else ["-", "-"]
    return out


def main(argv: list[str]) -> int:
    """Set what is given of each, or show it; 1 when one is not there."""
    given = parse(COMMAND, argv)
    oom = _value(given, "oom-score-adj", OOM_SAME, -OOM_MAX, OOM_MAX)
    group, session = (_value(given, f"{kind}-cells", -1, 0, 1 << 53) for kind in ("group", "session"))
    if not given.operands:
        raise Usage("which process?")
    pids = [targets.pid(word) for word in given.operands]
    kernel, rows, status = targets.Machine(), [], 0
    for pid in pids:
        try:
            if pid < 0 or not targets.is_agent(pid):
                raise targets.no_such(pid)
            rows.append(_cells(pid, calls.limit(kernel.conn(pid), pid, oom, group, session)))
        except Error as error:
            term.complain("limit", targets.named(pid, error).detail)
            status = 1
    if rows and (oom, group, session) == (OOM_SAME, -1, -1):
        columns = [Column(name, right=True) for name in _COLUMNS]
        term.out("".join(f"{line}\n" for line in lines(columns, rows)))
    return status
