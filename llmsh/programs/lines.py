"""The input of a process as lines, one at a time: from text arguments, descriptor 0, or both.

The same functions as intake.py. A line longer than LINE_MAX bytes is thrown away as it comes, and an
item with a fault takes its place: the lines after it keep their numbers.
"""

import msgspec

from llmsh.abi.program import Effect, Event, Image, Input, Read
from llmsh.programs import words
from llmsh.programs.intake import Item, split

LINE_MAX = 65536


class Lines(msgspec.Struct, tag=True, frozen=True):
    """What has been read and not yet given out."""

    buffer: bytes = b""
    tail: bytes = b""
    more: bool = False
    skip: bool = False
    """Within a line that is too long."""
    number: int = 0
    dirty: bool = False


def opened(image: Image) -> Lines:
    """The lines of this process's input, nothing read yet."""
    head, tail, more = split(image.args, image.stdin)
    lines = Lines(f"{head}\n".encode() if head else b"", tail.encode(), more)
    return lines if more else _ended(lines)


def _ended(lines: Lines) -> Lines:
    # A line that is being thrown away has left nothing in the buffer, and ends here all the same.
    begun = lines.skip or (lines.buffer and not lines.buffer.endswith(b"\n"))
    glue = b"\n" if begun else b""
    buffer = lines.buffer + glue + lines.tail if lines.tail else lines.buffer
    return msgspec.structs.replace(lines, buffer=buffer, tail=b"", more=False)


def receive(lines: Lines, event: Event) -> Lines:
    """The lines after what was asked for has come."""
    if not isinstance(event, Input):
        raise TypeError(f"lines: {event!r}")
    lines = msgspec.structs.replace(lines, buffer=lines.buffer + event.data)
    return _ended(lines) if event.eof else lines


def advance(lines: Lines) -> tuple[Lines, Effect | Item | None]:
    """What is needed next: an effect, or a line to work on, or None when there are no more."""
    line, newline, rest = lines.buffer.partition(b"\n")
    if newline or (not lines.more and (line or lines.skip)):
        return _line(lines, line, rest)
    if not lines.more:
        return lines, None
    if len(line) > LINE_MAX:
        lines = msgspec.structs.replace(lines, buffer=b"", skip=True)
    return lines, Read(max=LINE_MAX, until="line")


def _line(lines: Lines, line: bytes, rest: bytes) -> tuple[Lines, Item]:
    number = lines.number + 1
    fault = f"line {number} is longer than {LINE_MAX} bytes" if lines.skip or len(line) > LINE_MAX else ""
    text, _, dirty = words.decode(b"" if fault else line.removesuffix(b"\r"))
    if number == 1:
        text = text.removeprefix(words.BOM)
    lines = msgspec.structs.replace(lines, buffer=rest, skip=False, number=number, dirty=lines.dirty or dirty)
    return lines, Item(words.newlines(text).replace("\n", " "), fault=fault)
