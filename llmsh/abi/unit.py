"""The unit file: what an agent is. Format: llmsh-unit(5).

It knows the record and its defaults; unitfile.py reads and checks the TOML.
"""

import msgspec

Scalar = str | int | float | bool


KINDS = ("prompt", "filter", "classify", "extract", "chat")
"""The kinds of unit: each is a program in llmsh/programs/."""
LONG = ("refuse", "parts", "shift")
TYPES = ("str", "int", "float", "bool")
RANGES = {
    "temperature": (0.0, 100.0),
    "top_k": (0, 1 << 20),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repeat_penalty": (0.0, 100.0),
    "frequency_penalty": (-100.0, 100.0),
    "presence_penalty": (-100.0, 100.0),
    "penalty_last": (0, 1 << 16),
    "seed": (0, (1 << 63) - 1),
    "ignore_eos": (0, 1),
}
"""What the numbers of a sampling may be."""


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One option of an agent: `--name VALUE` or `-short VALUE` after the agent's name."""

    help: str
    short: str = ""
    type: str = "str"
    """str, int, float or bool (a flag)."""
    default: Scalar = ""
    choices: tuple[Scalar, ...] = ()
    values: dict[str, str] = {}
    """What a value is called in the prompts, as fr is French."""


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One exchange shown to the model before the input; the input goes through the unit's `prompt`."""

    input: str
    answer: str
    when: dict[str, Scalar] = {}
    """Shown only when these options have these values, or are called so; empty: always."""


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
    group: int = 0
    """Cells that its process group may have in the caches together."""


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, weakref=True):
    """One agent."""

    name: str
    kind: str
    description: str
    model: str = ""
    nice: int = 0
    deadline: float = 0
    """Seconds from its start in which it should end; 0: none. See sched(1)."""
    value: float = 0
    """What its end is worth, beside others without a deadline; 0: it states no such goal."""
    system: str = ""
    prompt: str = "{input}"
    """The user's turn: {input} and the names of options are replaced."""
    examples: tuple[Example, ...] = ()
    options: dict[str, Option] = {}
    raw: bool = False
    """No chat template: system, examples and prompt as one plain text. Not for chat."""
    labels: tuple[str, ...] = ()
    neutral: str = ""
    """classify: an input that deserves no label; what the model thinks of it is taken off."""
    schema: str = ""
    """JSON schema as JSON text, which every answer is held to. Not for classify; extract needs one."""
    verbatim: bool = False
    """extract: strings of the answer's lists that do not occur in the input are left out."""
    long: str = "refuse"
    """Input longer than the context: refuse, parts or shift."""
    part: int = 0
    """For long = parts: tokens of one part; 0 is half the context."""
    merge: str = ""
    """For long = parts: the prompt that makes one answer of several; empty: as for a part."""
    share: bool = False
    """Its processes share cells with those of every other unit that says so, not only among themselves. How long
    a prompt takes then tells the others whether somebody had it before."""
    strip: bool = True
    sampling: dict[str, float | int | str | list[str]] = {}
    limits: Limits = Limits()
    path: str = ""

    @property
    def key(self) -> str:
        """Processes of one key share cells."""
        return "" if self.share else self.name
