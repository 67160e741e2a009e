"""The whole input of a process, given out in one piece or in parts that fit.

Text arguments, descriptor 0, or both (`-` stands for descriptor 0 among the arguments). It holds at
most a few parts of text however long the input is, and cuts where a paragraph, a sentence or a word
ends. It knows nothing of what is done with a part. `lines.py` has the same functions for lines.
"""

import re

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.program import Count, Counted, Effect, Event, Image, Input, Read
from llmsh.programs import words

READ_MAX = 65536
LOOK = 6
"""Characters a token that are read before they are counted: more than most text has."""
COUNT_MAX = 32768
"""Characters of one text to count."""
CONTEXT = 4096
"""Taken for the context where the image names none."""
PART_MIN = 16
_ENDS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"[.!?][\"')\]]*\s|[。！？]"),  # noqa: RUF001 - CJK stops
    re.compile(r"\n"),
    re.compile(r"[,;:]\s"),
    re.compile(r"\b[a-z]\w*\s|\s(?=[a-z])"),
    re.compile(r"\s"),
)


class Item(msgspec.Struct, frozen=True):
    """A piece of input: all of it, a part, or a line."""

    text: str
    whole: bool = False
    """Whether it is all the input there is."""
    fault: str = ""
    """Why it cannot be used; the text is empty then."""


class Intake(msgspec.Struct, tag=True, frozen=True):
    """What has been read and not yet given out."""

    budget: int
    """Tokens of one part."""
    context: int = 0
    """Set when the input must be one part: the number for the message."""
    text: str = ""
    raw: bytes = b""
    tail: str = ""
    more: bool = False
    begun: bool = False
    dirty: bool = False
    given: bool = False
    look: int = 0
    tokens: int = -1
    """Tokens of `text`; -1 when not counted."""


def split(args: list[str], stdin: bool) -> tuple[str, str, bool]:
    """(text before descriptor 0, text after it, whether to read it)."""
    if not args:
        return "", "", stdin
    if "-" not in args:
        return " ".join(args), "", False
    at = args.index("-")
    return " ".join(args[:at]), " ".join(arg for arg in args[at + 1 :] if arg != "-"), stdin


def opened(image: Image) -> Intake:
    """The input of this process, nothing read yet."""
    head, tail, more = split(image.args, image.stdin)
    context = image.context or CONTEXT
    parts = image.unit.long == "parts"
    budget = min(image.unit.part or context // 2, context) if parts else context
    (head, _, bad), (tail, _, worse) = words.decode(head.encode()), words.decode(tail.encode())
    if more:
        text = f"{head}\n\n" if head else ""
    else:
        text, tail = "\n\n".join(part for part in (head, tail) if part), ""
    return Intake(
        budget=max(budget, PART_MIN),
        context=0 if parts else context,
        text=text,
        tail=tail,
        more=more,
        dirty=bad or worse,
    )


def receive(intake: Intake, event: Event) -> Intake:
    """The intake after what it asked for has come."""
    if isinstance(event, Counted):
        return msgspec.structs.replace(intake, tokens=sum(event.counts))
    if not isinstance(event, Input):
        raise TypeError(f"intake: {event!r}")
    data = intake.raw + event.data
    text, used, dirty = words.decode(data, event.eof)
    begun = intake.begun
    if text and not begun:
        text, begun = text.removeprefix(words.BOM), True
    text = intake.text + text
    if event.eof and intake.tail:
        text = f"{text}\n\n{intake.tail}"
    return msgspec.structs.replace(
        intake,
        text=text,
        raw=data[used:],
        more=not event.eof,
        begun=begun,
        dirty=intake.dirty or dirty,
        tokens=-1,
    )


def advance(intake: Intake) -> tuple[Intake, Effect | Item | None]:
    """What is needed next: an effect, or an item to work on, or None when all has been given out.

    Raises Error E2BIG, with both numbers, as soon as an input that must be one part cannot be.
    """
    look = max(intake.look, intake.budget * LOOK)
    if intake.more and len(intake.text) < look:
        return intake, Read(max=READ_MAX)
    if not intake.more and not intake.text.strip():
        return msgspec.structs.replace(intake, text=""), None
    if intake.tokens < 0:
        if not intake.more and len(intake.text.encode()) <= intake.budget:
            return _all(intake)
        pieces = [intake.text[at : at + COUNT_MAX] for at in range(0, len(intake.text), COUNT_MAX)]
        return intake, Count(pieces)
    if intake.tokens <= intake.budget:
        if not intake.more:
            return _all(intake)
        return msgspec.structs.replace(intake, look=2 * len(intake.text), tokens=-1), Read(max=READ_MAX)
    if intake.context:
        over = "over " if intake.more else ""
        raise Error("E2BIG", f"input of {over}{intake.tokens} tokens: the context holds {intake.context}")
    return _part(intake)


def _all(intake: Intake) -> tuple[Intake, Item]:
    item = Item(words.newlines(intake.text), whole=not intake.given)
    return msgspec.structs.replace(intake, text="", tokens=-1, given=True), item


def _part(intake: Intake) -> tuple[Intake, Effect | Item | None]:
    """Cut one part off. What is known to be left is cut evenly, so that no last part is a scrap. A
    part with nothing on it is thrown away."""
    goal = intake.budget * 0.9
    pieces = intake.tokens / goal
    if not intake.more:
        pieces = float(-(-intake.tokens // int(goal)))
    at = _boundary(intake.text, max(1, int(len(intake.text) / pieces)))
    text = words.newlines(intake.text[:at]).strip()
    rest = msgspec.structs.replace(intake, text=intake.text[at:], tokens=-1, look=0, given=intake.given or bool(text))
    return (rest, Item(text)) if text else advance(rest)


def _boundary(text: str, near: int) -> int:
    """Where to cut: the last end of a paragraph in the second half before `near`, else of a sentence,
    a line, a clause, a word in small letters or one before such (so that no name of two words is cut
    in two), any word, else there."""
    start = near // 2
    for pattern in _ENDS:
        ends = [match.end() for match in pattern.finditer(text, start, near + 1)]
        if ends:
            return ends[-1]
    return near


def smaller(intake: Intake, text: str) -> Intake | None:
    """The intake with a part put back that did not fit, to be cut in half; None when that is no
    use."""
    if intake.context or intake.budget <= PART_MIN:
        return None
    budget = max(PART_MIN, intake.budget // 2)
    return msgspec.structs.replace(intake, text=f"{text}\n\n{intake.text}", budget=budget, tokens=-1, look=0)
