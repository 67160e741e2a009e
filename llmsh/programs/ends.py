"""How programs end, and what they say on standard error. It knows no kind of program."""

import msgspec

from llmsh.abi.errors import Error
from llmsh.abi.program import Effect, Event, Exit, Generated, Image, Refused, Write

STDERR = 2


class Ended(msgspec.Struct, tag=True, frozen=True):
    """The state after Exit: nothing follows."""


def ended(status: int = 0, note: str = "") -> tuple[Ended, list[Effect]]:
    """End with this status and note."""
    return Ended(), [Exit(status, note)]


def no_input() -> tuple[Ended, list[Effect]]:
    """The input is empty or all blank: there is nothing to ask the model."""
    return ended(1, "no input")


def refused(event: Refused) -> tuple[Ended, list[Effect]]:
    """An effect could not be done. A broken schema is the unit's fault: it cannot be run."""
    return ended(126 if event.code == "EINVAL" else 1, event.detail)


def failed(error: Error) -> tuple[Ended, list[Effect]]:
    """Something a program found out itself."""
    return ended(1, error.detail)


def say(image: Image, text: str) -> Write:
    """One line on standard error that does not end the process."""
    return Write(STDERR, f"{image.unit.name}: {text}\n".encode())


def put(effects: list[Effect], data: bytes) -> None:
    """Add data on descriptor 1 to these effects: many blank lines are one write."""
    last = effects[-1] if effects else None
    if isinstance(last, Write) and last.fd == 1:
        effects[-1] = Write(1, last.data + data)
    else:
        effects.append(Write(1, data))


def unclean(image: Image, before: bool, now: bool) -> list[Effect]:
    """One note, the first time that bytes of the input were no text."""
    return [say(image, "input is not all UTF-8 text: what is not is read as U+FFFD")] if now and not before else []


def full(image: Image, placed: int, event: Generated) -> str:
    """What to say when an answer met the end of the context, or a limit of cells."""
    sizes = f"{placed} tokens of input and {event.tokens} of answer"
    if event.cause:
        return f"answer cut: {sizes}, {event.cause}"
    return f"answer cut: {sizes} fill the context of {image.context}"


def unexpected(state: object, event: Event) -> TypeError:
    """A bug of the kernel's or of ours: this event cannot come in this state."""
    return TypeError(f"{type(state).__name__}: unexpected {type(event).__name__}")
