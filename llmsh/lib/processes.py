"""Columns and selection of processes, shared by ps, pgrep and jobs. Source: ps(1) of procps.

It reads rows of ps(2) and asks no kernel.
"""

import os
import time

from llmsh.abi.light import Any, Callable, Iterable, NamedTuple, Sequence
from llmsh.lib import forms
from llmsh.lib.options import Usage
from llmsh.lib.table import Column

Row = dict[str, Any]
INFINITE = float("inf")


class Field(NamedTuple):
    """One thing that ps can show: its header, the row's value to sort by, and as text."""

    header: str
    right: bool
    value: Callable[[Row], Any]
    text: Callable[[Row], str]
    width: int = 0


def command_line(row: Row) -> str:
    """The agent with its arguments, or [agent] when it has ended."""
    if str(row["stat"]).startswith("Z"):
        return f"{row['agent']} <defunct>"
    return str(row.get("args") or row["agent"])


def user_name() -> str:
    """The name of whom all processes belong to."""
    from pwd import getpwuid

    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def is_user(names: str) -> bool:
    """Whether one of these names or numbers, joined by commas, is the user."""
    return not {user_name(), str(os.getuid())}.isdisjoint(names.replace(",", " ").split())


def started(row: Row) -> str:
    """The start, as ps aux shows it: the time of today, the date of another day."""
    then, now = time.localtime(row["started"]), time.localtime()
    if then[:3] == now[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%b%d", then) if then[0] == now[0] else time.strftime("%Y", then)


def busy(row: Row) -> float:
    """Device time as a share of the time since the start, in percent."""
    return 100 * float(row["time_ms"]) / max(1.0, float(row["elapsed_ms"]))


def _number(key: str, header: str, width: int = 0) -> Field:
    return Field(header, True, lambda row: row[key], lambda row: str(row[key]), width)


def _word(key: str, header: str, width: int = 0) -> Field:
    return Field(header, False, lambda row: str(row[key]), lambda row: str(row[key]), width)


def _priority(middle: int, sign: int = 1) -> Field:
    """The priority that ps(1) of procps makes of a nice value, in one of the three ways it counts."""

    def value(row: Row) -> int:
        return middle + sign * int(row["nice"])

    return Field("PRI", True, value, lambda row: str(value(row)), 3)


def _tty(row: Row) -> str:
    return str(row["tty"] or "?")


def _deadline(row: Row) -> float:
    """To sort by: the late first, those without a deadline last."""
    left = row["deadline"]
    return -INFINITE if left == "late" else INFINITE if left is None else float(left)


def _deadline_text(row: Row) -> str:
    left = row["deadline"]
    return "-" if left is None else left if isinstance(left, str) else f"{left:.0f}s"


FIELDS: dict[str, Field] = {
    "pid": _number("pid", "PID", 7),
    "ppid": _number("ppid", "PPID", 7),
    "pgid": _number("pgid", "PGID", 7),
    "sid": _number("sid", "SID", 5),
    "stat": _word("stat", "STAT", 4),
    "s": Field("S", False, lambda row: str(row["stat"])[:1], lambda row: str(row["stat"])[:1]),
    "nice": _number("nice", "NI", 3),
    "priority": _priority(20),
    "opri": _priority(80),
    "pri": _priority(19, -1),
    "oom": _number("oom", "OOM"),
    "agent": _word("agent", "AGENT"),
    "model": _word("model", "MODEL"),
    "core": Field("CORE", True, lambda row: row["core"], lambda row: "-" if row["core"] < 0 else str(row["core"])),
    "tokens_in": _number("tokens_in", "TOKIN"),
    "tokens_out": _number("tokens_out", "TOKOUT"),
    "ctx": _number("ctx", "CTX"),
    "rss": _number("rss", "RSS", 5),
    "rss_bytes": _number("rss_bytes", "RSSB"),
    "shared": _number("shared", "SHR"),
    "shared_bytes": _number("shared_bytes", "SHRB"),
    "swap": _number("swap", "SWAP"),
    "swap_bytes": _number("swap_bytes", "SWAPB"),
    "time_ms": _number("time_ms", "TIMEMS"),
    "elapsed_ms": _number("elapsed_ms", "ELAPSEDMS"),
    "time": Field("TIME", True, lambda row: row["time_ms"], lambda row: forms.clock(row["time_ms"] / 1000), 8),
    "etime": Field("ELAPSED", True, lambda row: row["elapsed_ms"], lambda row: forms.elapsed(row["elapsed_ms"] / 1000)),
    "etimes": Field("ELAPSED", True, lambda row: row["elapsed_ms"], lambda row: str(int(row["elapsed_ms"] / 1000))),
    "started": Field("STARTED", True, lambda row: row["started"], lambda row: f"{row['started']:.3f}"),
    "start": Field("START", False, lambda row: row["started"], started),
    "lstart": Field("STARTED", False, lambda row: row["started"], lambda row: time.ctime(row["started"])),
    "tty": Field("TTY", False, _tty, _tty, 8),
    "deadline": Field("DEADLINE", True, _deadline, _deadline_text),
    "wchan": Field("WCHAN", False, lambda row: str(row["wchan"]), lambda row: str(row["wchan"] or "-"), 6),
    "status": Field(
        "STATUS", True, lambda row: row["status"] or 0, lambda row: "-" if row["status"] is None else str(row["status"])
    ),
    "args": Field("COMMAND", False, command_line, command_line),
    "cmd": Field("CMD", False, command_line, command_line),
    "comm": Field("COMMAND", False, lambda row: str(row["agent"]), lambda row: str(row["agent"])),
    "user": Field("USER", False, lambda _: 0, lambda _: user_name(), 8),
    "uid": Field("UID", True, lambda _: 0, lambda _: str(os.getuid()), 5),
    "pcpu": Field("%CPU", True, busy, lambda row: f"{busy(row):.1f}", 4),
    "pmem": Field("%MEM", True, lambda row: row["pmem"], lambda row: f"{row['pmem']:.1f}", 4),
}
"""Everything that -o and --sort know, but for other names of the same."""

ALIASES = {
    "ni": "nice", "pgrp": "pgid", "sess": "sid", "session": "sid", "state": "s", "tt": "tty", "tname": "tty",
    "cputime": "time", "c": "pcpu", "%cpu": "pcpu", "%mem": "pmem", "rsz": "rss", "rssize": "rss", "vsz": "ctx",
    "sz": "ctx", "size": "ctx", "command": "args", "ucmd": "comm", "ucomm": "comm", "euser": "user", "ruser": "user",
    "uname": "user", "euid": "uid", "ruid": "uid", "stime": "start", "start_time": "start", "bsdstart": "start",
    "tin": "tokens_in", "tout": "tokens_out", "shr": "shared",
}  # fmt: skip
"""procps's names for what we have, and short forms."""


def field(name: str) -> Field:
    """A field by any of its names. Raises Usage."""
    key = ALIASES.get(name.lower(), name.lower())
    if key not in FIELDS:
        raise Usage(f"{name}: no such column (ps --help lists them)")
    return FIELDS[key]


def columns(specs: Iterable[str]) -> list[tuple[Field, str]]:
    """Fields and headers of -o lists: `pid,args`, `pid=,comm=WHO` (a header ends at a comma)."""
    out: list[tuple[Field, str]] = []
    for spec in specs:
        for item in spec.split(","):
            names, named, header = item.partition("=")
            words = names.split()
            out += [(field(word), field(word).header) for word in words]
            if named and words:
                out[-1] = (out[-1][0], header)
    if not out:
        raise Usage("-o: no column")
    return out


def table(chosen: Sequence[tuple[Field, str]]) -> list[Column]:
    """The columns as a table has them; a column without header is as wide as what is in it."""
    return [Column(header, item.right, item.width if header else 0) for item, header in chosen]


def ordered(rows: Iterable[Row], keys: str) -> list[Row]:
    """Rows sorted as --sort says: names joined by commas, `-` before one turns it round."""
    out = sorted(rows, key=lambda row: int(row["pid"]))
    for key in reversed([key for key in keys.split(",") if key]):
        out.sort(key=field(key.lstrip("+-")).value, reverse=key.startswith("-"))
    return out


def numbers(text: str, what: str) -> set[int]:
    """Numbers joined by commas or spaces. Raises Usage."""
    words = text.replace(",", " ").split()
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise Usage(f"{text!r} is not a list of {what}")
    return {int(word) for word in words}


def terminals(text: str) -> set[str]:
    """Terminals joined by commas: pts/3, /dev/pts/3, 3 of pts, or - for none."""
    out = set()
    for word in text.replace(",", " ").split():
        name = word.removeprefix("/dev/")
        out.add("?" if name == "-" else f"pts/{name}" if name.isdigit() else name)
    return out
