"""agents: list, show and check unit files. See agents(1), llmsh-unit(5)."""

import os
from collections.abc import Callable

from llmsh.abi.errors import Error
from llmsh.lib import forms, table, term
from llmsh.lib.command import JSON, Command
from llmsh.lib.options import Usage, parse

COMMAND = Command(
    "agents",
    "list, show and check agents",
    ("ls", "show NAME...", "check [NAME|FILE]..."),
    (JSON,),
    operands="agent",
    notes="show prints a unit as it is after all drop-ins. check reads every unit unless some are named.",
    choices=("ls", "show", "check"),
)


def _ls(names: list[str], json: bool) -> int:
    from llmsh.abi import unitfile  # units need the serialisation library: only what reads one loads it

    if names:
        raise Usage("ls takes no name")
    rows, status = [], 0
    for name, path in unitfile.names():
        try:
            unit = unitfile.load(path, name)
        except Error as error:
            term.complain("agents", error.detail)
            status = 1
            continue
        row = {"name": name, "kind": unit.kind, "model": unit.model or "-", "description": unit.description}
        rows.append(row | {"path": path})
    if json:
        forms.records(rows)
        return status
    columns = [table.Column(each, False) for each in ("NAME", "KIND", "DESCRIPTION", "FILE")]
    cells = [[row["name"], row["kind"], row["description"], row["path"]] for row in rows]
    for line in table.lines(columns, cells, width=term.columns(), header=True):
        term.line(line)
    return status


def _show(names: list[str], json: bool) -> int:
    import msgspec

    from llmsh.abi import unitfile

    if not names:
        raise Usage("show which agent?")
    for name in names:
        unit = unitfile.find(name)
        if json:
            forms.record(msgspec.to_builtins(unit))
        else:
            term.out(msgspec.json.format(msgspec.json.encode(unit), indent=2).decode() + "\n")
    return 0


def _check(names: list[str], json: bool) -> int:
    from llmsh.abi import unitfile

    chosen = [_place(name) for name in names] or unitfile.names()
    status = 0
    for name, path in chosen:
        faults: list[str] = []
        try:
            found = unitfile.load(path, name) if path else unitfile.find(name)
            row = {"name": name, "path": found.path or path, "error": ""}
        except Error as error:
            row = {"name": name, "path": path, "error": error.detail}
            faults = getattr(error, "faults", [error.detail])
            status = 1
        if json:
            forms.record(row)
        elif faults:
            for fault in faults:
                term.complain("agents", fault)
        else:
            term.line(f"{row['path']}: ok")
    return status


def _place(name: str) -> tuple[str, str]:
    """Name and file of an operand: a file by its slash or its ending, else an agent."""
    if "/" in name or name.endswith(".toml"):
        return os.path.basename(name).removesuffix(".toml"), os.path.abspath(name)
    return name, ""


_ACTIONS: dict[str, Callable[[list[str], bool], int]] = {"ls": _ls, "show": _show, "check": _check}


def main(argv: list[str]) -> int:
    """1 when a unit is broken or there is none of that name."""
    given = parse(COMMAND, argv)
    action, *names = given.operands or ["ls"]
    if action not in _ACTIONS:
        raise Usage(f"{action}: ls, show or check")
    try:
        return _ACTIONS[action](names, given.flag("json"))
    except Error as error:
        term.complain("agents", error.detail)
        return 1
