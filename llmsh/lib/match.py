"""Selects processes by pattern and by what they are: pgrep and pkill. Source: pgrep(1) of procps.

It reads rows of ps(2) and asks no kernel.
"""

import re
from collections.abc import Iterable

from llmsh.lib import processes
from llmsh.lib.command import flag, takes
from llmsh.lib.options import Given, Usage
from llmsh.lib.processes import Row

OPTIONS = (
    flag("-f", "--full", help="match the whole command line, not the agent's name alone"),
    flag("-x", "--exact", help="the pattern must match all of it"),
    flag("-v", "--inverse", help="those that do not match"),
    flag("-i", "--ignore-case", help="capital and small letters are the same"),
    flag("-n", "--newest", help="only the one started last"),
    flag("-o", "--oldest", help="only the one started first"),
    takes("-P", "--parent", value="PIDS", help="only children of these"),
    takes("-g", "--pgroup", value="PGIDS", help="only of these process groups"),
    takes("-s", "--session", value="SIDS", help="only of these sessions"),
    takes("-t", "--terminal", value="TTYS", help="only of these terminals"),
    takes("-u", "--euid", value="USERS", help="only of these users (all are yours)"),
    takes("-r", "--runstates", value="STATES", help="only in these states, as RT"),
)
"""How both commands select."""


def _pattern(given: Given) -> re.Pattern[str] | None:
    if not given.operands:
        return None
    if len(given.operands) > 1:
        raise Usage("one pattern")
    text = f"^(?:{given.operands[0]})$" if given.flag("exact") else given.operands[0]
    try:
        return re.compile(text, re.IGNORECASE if given.flag("ignore-case") else 0)
    except re.error as exc:
        raise Usage(f"{given.operands[0]}: not a regular expression: {exc}") from None


_LISTS = (("parent", "ppid"), ("pgroup", "pgid"), ("session", "sid"))


def _lists(given: Given) -> dict[str, set[int]]:
    """The numbers allowed in a row's fields. Raises Usage, also where there is no row to look at."""
    return {key: processes.numbers(given.text(option), "numbers") for option, key in _LISTS if given.flag(option)}


def _fits(given: Given, lists: dict[str, set[int]], row: Row) -> bool:
    if any(row[key] not in allowed for key, allowed in lists.items()):
        return False
    if given.flag("terminal") and row["tty"] not in processes.terminals(given.text("terminal")):
        return False
    if given.flag("euid") and not processes.is_user(given.text("euid")):
        return False
    return not given.flag("runstates") or str(row["stat"])[:1] in given.text("runstates")


def select(given: Given, rows: Iterable[Row]) -> list[Row]:
    """The processes that the command line selects, by pid. Raises Usage when it selects by nothing."""
    pattern = _pattern(given)
    if pattern is None and not given.options.keys() & {"parent", "pgroup", "session", "terminal", "euid", "runstates"}:
        raise Usage("which processes? (a pattern)")
    lists = _lists(given)
    out = []
    for row in sorted(rows, key=lambda row: int(row["pid"])):
        subject = str(row["args"] if given.flag("full") else row["agent"])
        hit = _fits(given, lists, row) and (pattern is None or pattern.search(subject) is not None)
        if hit != given.flag("inverse") and not str(row["stat"]).startswith("Z"):
            out.append(row)
    if out and (given.flag("newest") or given.flag("oldest")):
        pick = max if given.flag("newest") else min
        out = [pick(out, key=lambda row: (row["started"], row["pid"]))]
    return out
