"""An answer held to the JSON schema that the unit or the caller gave. It knows no kind of program.

The schema is compiled before anything is read: a broken one reads nothing. From then on the image's
sampling carries the grammar.
"""

import json

import msgspec

from llmsh.abi.program import Compile, Compiled, Generated, Image, Turn


class Compiling(msgspec.Struct, tag=True, frozen=True):
    """Waits for Compiled."""

    image: Image


def compiling(image: Image) -> Turn | None:
    """The first step of a process that has a schema."""
    return (Compiling(image), [Compile(image.unit.schema)]) if image.unit.schema else None


def held(image: Image, event: Compiled) -> Image:
    """The image whose answers the grammar holds."""
    return msgspec.structs.replace(image, sampling=msgspec.structs.replace(image.sampling, grammar=event.grammar))


def torn(image: Image, event: Generated) -> str:
    """What to say of an answer that ended before its document; empty for any other."""
    if not image.sampling.grammar:
        return ""
    try:
        json.loads(event.text)
    except (ValueError, RecursionError):
        return f"answer cut after {event.tokens} tokens: no whole document"
    return ""
