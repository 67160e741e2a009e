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


_BATCHES = (1, 2, 4, 8, 16, 32)
_CHUNKS = (32, 64, 128, 256, 512)
_SLOWER = 1.05


def _columns(text: str) -> list[str]:
    names = [*_USUAL, *text[1:].split(",")] if text.startswith("+") else text.split(",") if text else list(_USUAL)
    for name in names:
        if name not in LSDEV:
            raise Usage(f"{name}: no such column (lsdev --help lists them)")
    return names


def _rate(points: list[dict[str, Any]], size: int, key: str) -> str:
    """Tokens a second of all cores, as things are now; ~ where steps take longer than was measured, ? where
    the machine was disturbed then."""
    for point in points:
        if point[key] == size and (key == "tokens") == (point["tokens"] > 1):
            speed = point["cores"] * size * 1000 / (point["ms"] * point["factor"])
            return f"{speed:.3g}" + ("~" if point["factor"] >= _SLOWER else "?" if point["doubtful"] else "")
    return "-"


def _split(points: list[dict[str, Any]], chosen: dict[str, int] | None) -> list[str]:
    """The line of one split of the machine: how it generates, how it computes input."""
    cores, threads = points[0]["cores"], points[0]["threads"]
    mark = "*" if chosen and (chosen["cores"], chosen["threads"]) == (cores, threads) else " "
    made = [_rate(points, size, "batch") for size in _BATCHES]
    return [f"{mark}{cores}", str(threads), *made, *(_rate(points, size, "tokens") for size in _CHUNKS)]


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
            f"chosen: {chosen['cores']} cores of {chosen['threads']} threads ({chosen['threads_batch']} for input), "
            f"{chosen['seats']} sequences a step; changed {rates['changes']} times"
        )
    out.append(_back(rates["restore"]))
    if rates["rent"] is not None:
        out.append(f"a cell below the highest one costs {rates['rent'] * 1e6:.0f} ns a token, whoever has it")
    out += [
        f"core {each['core']}: {each['used']} cells used, highest {each['highest']}, tax {each['tax_ms']:.2f} ms a step"
        for each in row["layout"]
    ]
    if row["cores"] > 1:
        out.append(f"processes went from one core to another {row['moves']} times")
    splits = sorted({(point["cores"], point["threads"]) for point in rates["points"]})
    if splits:
        out.append(f"input costs {rates['input_cost']:.2f} of a token; tokens a second of all cores, ~ slower by now:")
        lines = [
            _split([each for each in rates["points"] if (each["cores"], each["threads"]) == split], chosen)
            for split in splits
        ]
        names = ("cores", "threads", *map(str, _BATCHES), *(f"in{size}" for size in _CHUNKS))
        out += table.lines([table.Column(name, True, 5) for name in names], lines, width=term.columns())
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
