"""The interface between the kernel and a program (one file a kind in llmsh/programs/).

A program is a state machine: `start(image)` and `step(state, event)` give the next state and the
effects, which are system calls. No await, no file, no clock, no randomness: the state is a record
that can be written down, so that a process can be forked, journaled and taken up again.

Effects are done in order. Writes wait until the reader has room and answer with no event; the last
effect of a step must be one that answers with an event, or Exit.
"""

from typing import Any, Protocol

import msgspec

from llmsh.abi.lease import Piece, Sampling
from llmsh.abi.unit import Unit


class _Record(msgspec.Struct, tag=True, frozen=True):
    pass


TOO_LONG = ("E2BIG", "ENOMEM")
"""Why a text is refused that might be taken in parts: the context, or the cells that the group may have."""


class Image(msgspec.Struct, frozen=True):
    """What a process is made of: its unit and what the caller gave."""

    unit: Unit
    args: list[str]
    options: dict[str, str | int | float | bool]
    """The unit's own options, all present (defaults filled in), types checked."""
    sampling: Sampling
    """The unit's sampling with the caller's changes."""
    stdin: bool
    """Whether descriptor 0 is anything but null."""
    tty: bool = False
    """Whether descriptor 0 is a terminal."""
    context: int = 0
    """The longest context in tokens: the model's, or the process's limit."""
    max_tokens: int = 0
    """Limit on one answer given by the unit or caller; 0 for none."""
    raw: bool = False
    shift: bool = False
    scores: bool = False
    """--scores of classify."""
    output_json: bool = False


# Effects.


class Read(_Record, frozen=True):
    """Bytes of descriptor `fd` -> Input. until: some (what is there, at most `max`), line (one line
    with its newline, at most `max`), eof (everything, at most `max`)."""

    fd: int = 0
    max: int = 65536
    until: str = "some"


class Write(_Record, frozen=True):
    """Bytes to descriptor `fd`; no event. A closed reader ends the process by PIPE."""

    fd: int
    data: bytes


class Context(_Record, frozen=True):
    """Make the process's context this conversation -> Placed, or Refused E2BIG when it is longer
    than the context. What the old context has in common with it from the start is not computed
    again. `raw`: the contents joined, no template. `shift`: the oldest turns after the system
    message may go until it fits with `reserve` tokens of room."""

    pieces: list[Piece]
    raw: bool = False
    shift: bool = False
    reserve: int = 0


class Generate(_Record, frozen=True):
    """Generate an answer after the context -> Generated. Bytes go to descriptor `fd` as they are
    made (-1: nowhere); `capture` also returns them in the event."""

    sampling: Sampling
    max_tokens: int = 0
    fd: int = 1
    capture: bool = False


class Score(_Record, frozen=True):
    """Log-probability of each label as the answer -> Scored."""

    labels: list[str]


class Count(_Record, frozen=True):
    """Tokens of each text -> Counted."""

    texts: list[str]


class Compile(_Record, frozen=True):
    """JSON schema (JSON text) to a grammar -> Compiled, or Refused EINVAL with its path."""

    schema: str


class Exit(_Record, frozen=True):
    """End with this status; `note` is one line for standard error (the kernel adds `agent: `)."""

    status: int = 0
    note: str = ""


Effect = Read | Write | Context | Generate | Score | Count | Compile | Exit


# Events.


class Input(_Record, frozen=True):
    """Bytes read; eof: the end was reached (data may still hold the last bytes)."""

    data: bytes
    eof: bool


class Placed(_Record, frozen=True):
    """The context is `tokens` long; `room` tokens may follow; `dropped` pieces went (shift)."""

    tokens: int
    room: int
    dropped: int = 0


class Generated(_Record, frozen=True):
    """An answer ended. why: eos, stop, limit (max_tokens), full (context), grammar, int (the user
    interrupted it; only programs that catch INT see this). cause: what was full, where it was not the context."""

    why: str
    text: bytes
    tokens: int
    cause: str = ""


class Scored(_Record, frozen=True):
    """A sum of log-probabilities for each label, in order."""

    scores: list[float]


class Counted(_Record, frozen=True):
    """Tokens of each text, in order."""

    counts: list[int]


class Compiled(_Record, frozen=True):
    """GBNF for Sampling.grammar."""

    grammar: str


class Refused(_Record, frozen=True):
    """The effect could not be done, for a cause of the caller's: code is a name in abi.errors."""

    code: str
    detail: str


class Signal(_Record, frozen=True):
    """A caught signal arrived while the program waited in Read; the read is void."""

    number: int


Event = Input | Placed | Generated | Scored | Counted | Compiled | Refused | Signal

State = msgspec.Struct
Turn = tuple[State, list[Effect]]


class Program(Protocol):
    """One kind of program. Stateless itself: everything is in the state."""

    kind: str
    catches: frozenset[int]
    """Signals that it handles itself: only INT (ends the answer) and none other so far."""
    states: Any
    """The union of its state records, for a decoder: what was written down can be taken up again."""

    def start(self, image: Image) -> Turn:
        """The first state and effects. Raises Error for what is wrong with the image."""

    def step(self, state: State, event: Event) -> Turn:
        """The next state and effects."""
