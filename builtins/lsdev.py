"""lsdev: the devices, that is the models that are loaded and their engines. See lsdev(1)."""

import time

from llmsh.abi.light import Any
from llmsh.abi.records import LSDEV
from llmsh.lib import calls, forms, spawn, table, term
from llmsh.lib.command import JSON, Command, flag, takes
from llmsh.lib.options import Usage, bare

COMMAND = Command(
    "lsdev",
    "list devices: loaded models, their engines and cores",
    ("[-l | -o COLUMNS] [-n] [--json]",),
    (
        flag("-l", "--long", help="with their rates, tokens a second, and the configuration that was chosen by them"),
        takes("-o", "--output", value="COLUMNS", help="these columns, joined by commas; +COLUMNS adds them"),
        flag("-n", "--noheadings", help="no header"),
        JSON,
    ),
    notes="Columns: " + ", ".join(LSDEV) + ".",
)

_USUAL = ("name", "kind", "model", "pid", "state", "threads", "cores", "cells", "cells_used")
_SLOWER = 1.05


def _columns(text: str) -> list[str]:
    names = [*_USUAL, *text[1:].split(",")] if text.startswith("+") else text.split(",") if text else list(_USUAL)
    for name in names:
        if name not in LSDEV:
            raise Usage(f"{name}: no such column (lsdev --help lists them)")
    return names


def _size(point: dict[str, Any], key: str) -> int:
    """What all cores compute at once: sequences, or tokens of input."""
    return int(point["cores"] * point[key])


def _speed(point: dict[str, Any], key: str) -> str:
    """Tokens a second of all cores, as things are now; ~ where steps take longer than was measured, ? where
    the machine was disturbed then."""
    speed = _size(point, key) * 1000 / (point["ms"] * point["factor"])
    return f"{speed:.3g}" + ("~" if point["factor"] >= _SLOWER else "?" if point["doubtful"] else "")


def _speeds(points: list[dict[str, Any]], key: str, chosen: tuple[int, int] | None) -> list[str]:
    """A line for each split of the machine, a column for each size; the split in use has a `*`."""
    sizes = sorted({_size(point, key) for point in points})
    rows: dict[tuple[int, int], dict[int, str]] = {}
    for point in points:
        rows.setdefault((point["cores"], point["threads"]), {})[_size(point, key)] = _speed(point, key)
    lines = [
        [f"{'*' if split == chosen else ' '}{split[0]}", str(split[1]), *(row.get(size, "-") for size in sizes)]
        for split, row in sorted(rows.items())
    ]
    names = ("cores", "threads", *map(str, sizes))
    # A terminal that is too narrow breaks the line: half a figure would be another figure.
    return table.lines([table.Column(name, True, 5) for name in names], lines)


def _tables(rates: dict[str, Any], chosen: dict[str, int] | None) -> list[str]:
    """What was measured, of steps that generate and of those that compute input."""
    generate = [point for point in rates["points"] if point["tokens"] == 1]
    read = [point for point in rates["points"] if point["tokens"] > 1]
    here, there = ((chosen["cores"], chosen[key]) if chosen else None for key in ("threads", "threads_batch"))
    out = ["tokens a second of all cores, by how many generate at once (~ slower by now):"]
    out += _speeds(generate, "batch", here)
    out.append(f"and of input, by the tokens that are read at once; one costs {rates['input_cost']:.2f} generated:")
    return out + _speeds(read, "tokens", there)


def _back(restore: dict[str, Any]) -> str:
    """What it takes to bring cells back, by the ways there are; - where nothing was measured yet."""
    computed = f"{restore['compute_ms']:.2g}" if restore["compute_ms"] else "-"
    write, read = (f"{1048.576 / ms:.0f}" if ms else "-" for ms in (restore["write_ms"], restore["read_ms"]))
    return (
        f"a token comes back in {restore['copy_ms']:.2g} ms from an image, in {computed} ms computed; "
        f"swap file: {write} MB/s written, {read} MB/s read"
    )


def _long(row: dict[str, Any]) -> list[str]:
    """A device with its table."""
    rates, chosen = row["rates"], row["rates"]["chosen"]
    done = "measured" if rates["complete"] else "being measured"
    age = f", {forms.duration(max(0, time.time() - rates['made']))} ago" if rates["made"] else ""
    out = [f"{row['name']}: {rates['cpus']} CPUs, {rates['measured']} of {rates['wanted']} points {done}{age}"]
    if chosen:
        out.append(
            f"chosen for {rates['runnable']} that can run: cores {chosen['cores']}, threads of each "
            f"{chosen['threads']} ({chosen['threads_batch']} for input), sequences a step {chosen['seats']}; "
            f"changes {rates['changes']}"
        )
    out.append(_back(rates["restore"]))
    if rates["rent"] is not None:
        out.append(f"a cell below the highest one costs {rates['rent'] * 1e6:.0f} ns a token, whoever has it")
    out += [
        f"core {each['core']}: {each['used']} cells used, highest {each['highest']}, "
        f"tax {each['tax_ms']:.2f} ms a token"
        for each in row["layout"]
    ]
    if row["cores"] > 1:
        out.append(f"processes went from one core to another {row['moves']} times")
    if rates["points"]:
        out += _tables(rates, chosen)
    return out


def main(argv: list[str]) -> int:
    """One line a device."""
    given = bare(COMMAND, argv)
    names = _columns(given.text("output").lower())
    conn = spawn.running()
    rows = calls.lsdev(conn, long=given.flag("long")) if conn else []
    if given.flag("json"):
        forms.records(rows)
        return 0
    if given.flag("long"):
        text = "\n".join(line for row in rows for line in _long(row))
        term.out(text + "\n" if text else "")
        return 0
    numeric = {name for name in names if any(isinstance(row.get(name), int) for row in rows)}
    columns = [table.Column(name.upper().replace("_", "-"), name in numeric) for name in names]
    cells = [[str(row.get(name, "-")) for name in names] for row in rows]
    lines = table.lines(columns, cells, width=term.columns(), header=not given.flag("noheadings"))
    if lines:
        term.out("\n".join(lines) + "\n")
    return 0
