"""The unit file: what an agent is. Format: llmsh-unit(5).

It knows the record and its defaults; unitfile.py reads and checks the TOML.
"""

import msgspec

Scalar = str | int | float | bool


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One option of an agent: `--name VALUE` or `-short VALUE` after the agent's name."""

    help: str
    short: str = ""
    type: str = "str"
    """str, int, float or bool (a flag)."""
    default: Scalar = ""
    choices: tuple[Scalar, ...] = ()
    values: dict[str, str] = {}
    """Replaces a value given on the line, as fr to French."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of a process; 0 is none."""

    tokens: int = 0
    """Tokens generated in all."""
    answer: int = 0
    """Tokens of one answer."""
    context: int = 0
    seconds: float = 0
    output: int = 0
    """Bytes written in all."""


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent."""

    name: str
    kind: str
    description: str
    model: str = ""
    nice: int = 0
    system: str = ""
    prompt: str = "{input}"
    """The user's turn: {input} and the names of options are replaced."""
    examples: tuple[tuple[str, str], ...] = ()
    """(input, answer) pairs shown to the model before the input; the input goes through `prompt`."""
    options: dict[str, Option] = {}
    labels: tuple[str, ...] = ()
    schema: str = ""
    """JSON schema as JSON text."""
    long: str = "refuse"
    """Input longer than the context: refuse, parts or shift."""
    merge: str = ""
    """For long = parts: the prompt that joins the parts' answers."""
    strip: bool = True
    share: bool = False
    sampling: dict[str, float | int | str | list[str]] = {}
    limits: Limits = Limits()
    path: str = ""
