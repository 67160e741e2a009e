"""map: run one agent over the lines of standard input, a process for each. See map(1)."""

from llmsh.lib import spawn
from llmsh.lib.command import Command, Option, flag, takes
from llmsh.lib.fanout import Fan
from llmsh.lib.items import Items, delimiter
from llmsh.lib.leave import leave
from llmsh.lib.options import Given, Usage, parse
from llmsh.lib.start import GENERAL, agent_spec

PROCESSES = 16
OWN = (
    takes(
        "-P",
        "--max-procs",
        value="N",
        kind="int",
        help=f"so many processes at once ({PROCESSES}); 0 for as many as the session may have, less some",
    ),
    takes("-n", "--lines", value="N", kind="int", help="so many lines a process (1)"),
    flag("-0", "--null", help="what ends an item is a NUL, not a newline"),
    takes(
        "-d", "--delimiter", value="C", help="what ends an item is this byte; \\t, \\0, \\x1f and the like are known"
    ),
    flag("-u", "--unordered", help="print answers as they come, not in the order of the lines"),
    flag("-k", "--keep-going", help="go on when a process was ended by a signal or with status 255"),
)


def _general() -> tuple[Option, ...]:
    """The general options, less the spellings that are ours."""
    taken = {spelling for option in OWN for spelling in option.flags}
    return tuple(
        option._replace(flags=tuple(spelling for spelling in option.flags if spelling not in taken))
        for option in GENERAL
    )


COMMAND = Command(
    "map",
    "run an agent over the lines of standard input, a process for each, many at once",
    ("[-P N] [-n N] [-0] [-d C] [-u] [-k] [OPTION]... AGENT [AGENT'S OPTION]... [TEXT]...",),
    (*OWN, *_general()),
    operands="agent",
    posix=True,
    alone=True,
    notes="A line is the text of its process, after the texts given here, if any. The answers come in the order of "
    "the lines, each ending in a newline. Blank lines are left out.",
)


def _number(given: Given, name: str, default: int, least: int) -> int:
    value = int(given.options.pop(name, default))
    if value < least:
        raise Usage(f"--{name}: expected {least} or more, found {value}")
    return value


def _items(given: Given) -> Items:
    count = _number(given, "lines", 1, 1)
    mark = b"\0" if given.options.pop("null", 0) else b"\n"
    name = given.options.pop("delimiter", None)
    if name is not None:
        mark = delimiter(name)
        if not mark:
            raise Usage(f"--delimiter: {name!r} is not one byte")
    return Items(mark, count)


def main(argv: list[str]) -> int:
    """Map; does not return unless nothing could be started."""
    given = parse(COMMAND, argv)
    if not given.operands:
        raise Usage("which agent? (`llmsh agents ls` lists them)")
    width = _number(given, "max-procs", PROCESSES, 0)
    items = _items(given)
    ordered = not given.options.pop("unordered", 0)
    keep_going = bool(given.options.pop("keep-going", 0))
    name, *rest = given.operands
    if "-" in rest:
        raise Usage("-: standard input has the lines")
    spec = agent_spec(name, rest, given)
    # The terminal, if there is one, is ours to read.
    spec = spec._replace(params={key: value for key, value in spec.params.items() if key != "tty"})
    fan = Fan(spawn.connect(), spec, items, width=width, ordered=ordered, keep_going=keep_going)
    return leave(fan.finish())
