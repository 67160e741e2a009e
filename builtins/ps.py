"""ps: the processes of the kernel, as ps(1) of procps shows those of the machine. See ps(1)."""

from llmsh.abi.light import Any
from llmsh.lib import calls, forms, here, processes, spawn, table, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.options import Given, Usage, parse
from llmsh.lib.processes import Row

COMMAND = Command(
    "ps",
    "list processes",
    ("[OPTION]...", "[aux | l | j | f]", "-o COLUMN[=HEADER][,COLUMN...]"),
    (
        flag("-e", help="all processes"),
        flag("-A", "--all", help="all processes"),
        flag("-a", help="all with a terminal but session leaders"),
        flag("-d", help="all but session leaders"),
        flag("-f", "--full", help="full: parent, start, whole command line"),
        flag("-l", "--long", help="long: state, parent, priority, nice, core, cells, what it waits for"),
        flag("-y", help="accepted with -l, which shows no flags and no addresses anyway"),
        flag("-j", "--jobs", help="jobs: process group and session"),
        flag("-H", "--forest", help="children indented below their parents"),
        takes("-o", "--format", value="COLUMNS", repeat=True, complete="column", help="show these columns"),
        takes("-O", "--add", value="COLUMNS", repeat=True, complete="column", help="show these too"),
        takes("-k", "--sort", value="KEYS", complete="column", help="sort by these; -KEY turns one round"),
        takes("-p", "--pid", value="PIDS", complete="pid", help="only these processes"),
        takes("-q", "--quick-pid", value="PIDS", complete="pid", help="the same"),
        takes("--ppid", value="PIDS", complete="pid", help="only children of these"),
        takes("-C", "--agent", value="NAMES", complete="agent", help="only these agents"),
        takes("-t", "--tty", value="TTYS", help="only of these terminals; - is no terminal"),
        takes("-s", "--sid", value="SIDS", help="only of these sessions"),
        takes("-g", "--group", value="PGIDS", help="only of these process groups"),
        takes("-u", "--user", value="USER", help="only of this user (all are yours)"),
        flag("-N", "--deselect", help="all but those selected"),
        flag("-T", help="all of this terminal"),
        flag("-r", "--running", help="only running ones"),
        flag("-w", help="no cut at the width of the terminal"),
        takes("--cols", "--width", value="N", kind="int", help="cut lines to this width"),
        flag("--no-headers", "--no-heading", help="no header"),
        JSON,
    ),
    notes="Without a selection: the processes of this terminal. Lines are cut to COLUMNS or the width of the "
    "terminal. Columns: " + ", ".join(sorted({*processes.FIELDS, *processes.ALIASES})) + ".",
)

FORMATS = {
    "plain": "pid,tty,stat,time,cmd",
    "full": "user=UID,pid,ppid,pcpu=C,start=STIME,tty,time,cmd",
    "long": "s,uid,pid,ppid,pcpu=C,opri,nice,core,rss,shr,swap,ctx=SZ,wchan,tty,time,cmd",
    "jobs": "pid,pgid,sid,tty,stat,time,cmd",
    "user": "user,pid,pcpu,pmem,ctx=VSZ,rss,tty,stat,start,time,args",
    "bsd-long": "uid,pid,ppid,priority,nice,ctx=VSZ,rss,wchan,stat,tty,time,args",
    "bsd-jobs": "ppid,pid,pgid,sid,tty,stat,time,args",
    "bsd": "pid,tty,stat,time,args",
}
_BSD = {"a": "e", "x": "e", "e": "", "f": "forest", "r": "running", "w": "w", "h": "no-heading", "c": "", "T": "T"}


def _bsd(argv: list[str], given: Given) -> None:
    """Options without a dash, as in `ps aux`; numbers are pids."""
    for word in argv:
        if word.replace(",", "").isdigit():
            given.options["pid"] = ",".join(filter(None, [given.text("pid"), word]))
            continue
        for letter in word:
            if letter in "ulj":
                given.options["bsd"] = {"u": "user", "l": "bsd-long", "j": "bsd-jobs"}[letter]
            elif letter in _BSD:
                given.options[_BSD[letter]] = 1
                given.options.setdefault("bsd", "bsd")
            else:
                raise Usage(f"{word}: unknown option")


def _format(given: Given) -> list[str]:
    if given.flag("format"):
        return given.many("format")
    for name in ("full", "long", "jobs"):
        if given.flag(name):
            return [FORMATS[name]]
    spec = FORMATS[given.text("bsd", "plain")]
    added = ",".join(given.many("add"))
    return [spec.replace("pid,", f"pid,{added},", 1) if added else spec]


def _explicit(given: Given, row: Row) -> list[bool]:
    """What each selection by list says of a row; empty when there is none."""
    out = []
    for option, key in (("pid", "pid"), ("quick-pid", "pid"), ("ppid", "ppid"), ("sid", "sid"), ("group", "pgid")):
        if given.flag(option):
            out.append(row[key] in processes.numbers(given.text(option), "numbers"))
    if given.flag("agent"):
        out.append(row["agent"] in given.text("agent").replace(",", " ").split())
    if given.flag("tty"):
        out.append((row["tty"] or "?") in processes.terminals(given.text("tty")))
    if given.flag("user"):
        out.append(processes.is_user(given.text("user")))
    return out


_NOBODY: Row = {"pid": 0, "ppid": 0, "sid": 0, "pgid": 0, "agent": "", "tty": ""}
"""Of an empty machine: what it takes to find out whether a list names anybody."""


def _selected(given: Given, rows: list[Row]) -> tuple[list[Row], bool]:
    """The rows to show, and whether a list named them."""
    mine = here.terminal()
    out, named = [], False
    for row in rows:
        tests = _explicit(given, row)
        named = named or bool(tests)
        leader = row["pid"] == row["sid"]
        everything = given.flag("e") or given.flag("all")
        keep = everything or any(tests) or (given.flag("d") and not leader)
        keep = keep or (given.flag("a") and bool(row["tty"]) and row["tty"] != "?" and not leader)
        if not tests and not (everything or given.flag("a") or given.flag("d")):
            keep = (row["tty"] or "?") == mine
        keep = keep and (not given.flag("running") or str(row["stat"])[:1] == "R")
        if keep != given.flag("deselect"):
            out.append(row)
    return out, named


def _forest(rows: list[Row]) -> list[Row]:
    """Children after their parents, their commands indented."""
    below: dict[int, list[Row]] = {}
    pids = {row["pid"] for row in rows}
    for row in rows:
        below.setdefault(row["ppid"] if row["ppid"] in pids and row["ppid"] != row["pid"] else 0, []).append(row)
    out: list[Row] = []

    def walk(parent: int, depth: int) -> None:
        for row in below.get(parent, ()):
            mark = "    " * (depth - 1) + " \\_ " if depth else ""
            out.append(row | {"args": mark + processes.command_line(row)})
            walk(row["pid"], depth + 1)

    walk(0, 0)
    return out


def _shares(conn: Any, rows: list[Row]) -> None:
    """%MEM: the cells of each as a share of its model's."""
    cells = {device["model"]: device["cells"] for device in calls.lsdev(conn)}
    for row in rows:
        row["pmem"] = 100 * row["rss"] / max(1, cells.get(row["model"], 0))


def main(argv: list[str]) -> int:
    """Select, sort, print; 1 when processes were named and none is there."""
    given = parse(COMMAND, argv)
    _bsd(given.operands, given)
    chosen = processes.columns(_format(given))
    conn = spawn.running()
    rows, named = _selected(given, calls.ps(conn)) if conn else ([], bool(_explicit(given, _NOBODY)))
    keys = given.text("sort")
    if conn and any(item is processes.FIELDS["pmem"] for item in (*(item for item, _ in chosen), *_sorts(keys))):
        _shares(conn, rows)
    rows = processes.ordered(rows, keys)
    if given.flag("json"):
        forms.records(rows)
        return int(named and not rows)
    if given.flag("forest"):
        rows = _forest(rows)
    width = 0 if given.flag("w") else given.number("width", term.columns())
    cells = [[item.text(row) for item, _ in chosen] for row in rows]
    lines = table.lines(processes.table(chosen), cells, width=width, header=not given.flag("no-heading"))
    if lines:
        term.out("\n".join(lines) + "\n")
    return int(named and not rows)


def _sorts(keys: str) -> list[processes.Field]:
    return [processes.field(key.lstrip("+-")) for key in keys.split(",") if key]
