"""Messages between the kernel and an engine: the lease protocol. Rules: docs/leases.md.

A process is its token log, which the kernel holds; cells, sampler, grammar and stop matcher are the
engine's caches of it. `q` names a sequence and is never used twice within an incarnation. Positions
are indices into the token log; the last token of a log is the next input and is not in the cache.

Two socket pairs an engine, each carrying u32 length (big-endian) + msgpack: *data* (ordered: TO_ENGINE
one way, FROM_ENGINE the other), drained before each decode, and *control* (REQUESTS and Reply),
served by a thread of its own so that a newcomer is tokenised while a step runs.
"""

from typing import Any

import msgspec


class _Message(msgspec.Struct, array_like=True, tag=True, forbid_unknown_fields=True, frozen=True):
    pass


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the next token is chosen. temperature 0 is greedy. Randomness is f(seed, position)."""

    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last: int = 64
    seed: int = 0
    stop: tuple[str, ...] = ()
    logit_bias: dict[int, float] = {}
    grammar: str = ""
    """GBNF; empty for none."""
    ignore_eos: bool = False
    rated: bool = False
    """Whether its log-probability is wanted."""


# Kernel to engine, data channel.

CORES_MAX = 16
"""Cores that sequences are dealt out to: 0, 1, 2…"""
EXACT = 31
"""The core that takes one exact sequence at a time, with nothing else in its cache."""


class Open(_Message, frozen=True):
    """A new sequence on a core. `exact` asks for chunks cut at fixed multiples of 256."""

    q: int
    core: int
    exact: bool = False


class Answer(_Message, frozen=True):
    """An answer begins at position `at`: new sampler, grammar and stop matcher. Tokens of the log
    from `at` on (after a crash) are taken as already part of it. q must be quiet."""

    q: int
    at: int
    sampling: Sampling


class Feed(_Message, frozen=True):
    """Append tokens at position `at` (= the engine's length of q). `single`: computed one a decode,
    as generated tokens were (replay of an exact sequence). q must be quiet."""

    q: int
    at: int
    tokens: list[int]
    single: bool = False


class Lease(_Message, frozen=True):
    """q may be extended while its length < upto. Ignored unless n = HALTED seen from q.

    upto = length (no token to make) computes the prompt into the cache, all but its last token. `ms`:
    steps in which q makes a token should take no longer; others' prompts are cut for it. 0: no matter."""

    q: int
    n: int
    upto: int
    ms: float = 0.0


class Halt(_Message, frozen=True):
    """Take the lease back. Ignored unless n = HALTED seen from q."""

    q: int
    n: int


class Cut(_Message, frozen=True):
    """Forget tokens from position `at` on. q must be quiet."""

    q: int
    at: int
    op: int


class Fork(_Message, frozen=True):
    """q2 is a new quiet sequence with the first `at` tokens of q, and shares all of their cells that q has
    by now: it is fed at least one token more before it is leased, or its last cell is made anew. q need not
    be quiet: it happens between two steps. Of a saved q: q2 has the same image, `at` is q's length."""

    q: int
    q2: int
    at: int
    op: int


class Save(_Message, frozen=True):
    """Move q's cells from position `at` on into an image in the engine's memory, and let go of those before,
    which others share; q holds no cell at DONE. q quiet."""

    q: int
    op: int
    at: int = 0


class Move(_Message, frozen=True):
    """Take q to another core: its cells become an image, as by SAVE, to be loaded there. q quiet."""

    q: int
    core: int
    op: int
    at: int = 0


class Load(_Message, frozen=True):
    """Put q's image back into cells, behind those of `donor` that the image begins after; donor is 0 when it
    begins at 0. donor is on the same core and has computed as much. q quiet."""

    q: int
    op: int
    donor: int = 0


class Adopt(_Message, frozen=True):
    """q, fed and without a cell, has an image of its positions `at` … computed - 1 in the swap file, `size` bytes that
    the engine before this one has written. It is read before it is loaded. q quiet."""

    q: int
    computed: int
    at: int
    size: int
    op: int


class Score(_Message, frozen=True):
    """Log-probability of each label (token ids) as the text that follows q's log. q quiet; the
    prompt is computed first. DONE carries a sum of log-probabilities a label."""

    q: int
    labels: list[list[int]]
    op: int


class Drop(_Message, frozen=True):
    """Forget q: cells, image, everything. Legal in any state; no HALTED follows, only DONE."""

    q: int
    op: int


class Threads(_Message, frozen=True):
    """From now on `cores` cores work at once, each on its share of the CPUs, and a step of each has so many
    threads: one that only generates, and one that computes input. It holds whichever cores they are, also
    for a moment in which fewer work."""

    cores: int
    threads: int
    threads_batch: int


TURN = 4
"""Decodes of a MEASURE before the cache is filled, and before it is emptied again."""


class Measure(_Message, frozen=True):
    """Decode `batch` made-up sequences of `tokens` tokens on a core, again and again for about `ms`
    milliseconds, as a step on so many threads while `cores` cores work. Each decode is a STEP without rows;
    DONE (of q 0) has its milliseconds as scores. It ends early when there is anything else to do.

    `fill`: TURN decodes as the cache is, TURN with so many more cells below the highest one in use, and so on."""

    core: int
    cores: int
    threads: int
    batch: int
    tokens: int
    ms: int
    op: int
    fill: int = 0


class Transfer(_Message, frozen=True):
    """Write the images of these sequences to the swap file, or read them back, side by side from `offset` on, in
    one call. An image that was written is not in memory any more, and is read before it is loaded. Not an
    operation of one q: it happens beside the steps."""

    op: int
    write: bool
    offset: int
    qs: list[int]


class Pack(_Message, frozen=True):
    """Move those of a core's cells that lie highest, at most `most`, into the holes below them, whoever holds them,
    leased or not. Sequences hold what they held. DONE (of q 0) says how many cells were moved."""

    core: int
    most: int
    op: int


Operation = Cut | Fork | Save | Move | Load | Adopt | Score | Drop
"""What DONE answers, beside MEASURE, PACK and TRANSFER."""
ToSequence = Open | Answer | Feed | Lease | Halt | Operation
ToCore = ToSequence | Threads | Measure | Pack
"""What waits for the pause between two steps of a core."""
ToEngine = ToCore | Transfer


# Engine to kernel, data channel.

Row = tuple[int, int, int, bytes, int]
"""(q, pos, token, bytes, safe): `safe` counts the answer's bytes that no stop string can claim and
that end no UTF-8 sequence midway."""


class Step(_Message, frozen=True):
    """What one decode made: `no` counts decodes of this core from 1, `rows` the tokens, `fed` (q, n) how
    many input tokens were computed, `ms` how long it took, `used` the core's cells in use, `threads` how
    many threads it had, `busy` how many cores worked (0: nobody counted), `highest` how many cells there are up to
    the highest one in use."""

    core: int
    no: int
    ms: float
    rows: list[Row]
    fed: list[tuple[int, int]]
    used: int
    threads: int = 0
    busy: int = 0
    highest: int = 0


LIMIT, STOP, EOS, GRAMMAR, REVOKED, NOCELL, FAULT = "limit", "stop", "eos", "grammar", "revoked", "nocell", "fault"


class Halted(_Message, frozen=True):
    """A lease ended at length `pos`; q is quiet. `safe` as in Row, final for stop."""

    q: int
    n: int
    pos: int
    why: str
    safe: int = 0
    detail: str = ""
    logprob: float = 0.0
    """Of a rated answer: the sum over the tokens that were made since the lease began."""


class Done(_Message, frozen=True):
    """An operation ended; `error` empty is success, `cells` what q holds now, `ms` how long the copy of a
    SAVE, MOVE or LOAD took, or the call of a TRANSFER, `share` which part of their time the threads of a MEASURE
    ran."""

    op: int
    q: int
    cells: int = 0
    error: str = ""
    scores: list[float] = []
    ms: float = 0.0
    share: float = 1.0
    size: int = 0
    """Bytes of the image that a SAVE or MOVE made."""
    core: int = -1
    highest: int = 0
    """Cells up to the highest one in use of this core, after it; core -1: nothing is said."""


class Ready(_Message, frozen=True):
    """First message of an engine."""

    pid: int
    model: str
    cells: int
    sequences: int
    context: int
    cell_bytes: int
    threads: int
    threads_batch: int
    vocab: int
    token_bytes: int
    """Bytes of the longest token."""
    share: bool
    """Whether sequences can share and cut cells. Where not, a CUT of what is computed and a SCORE let go of all
    (DONE says so: cells 0), an image that is cut is worth nothing, and a FORK's child computes for itself."""
    template: bool
    cores: int = 1
    """Cores that sequences are dealt out to, each with so many cells and sequences; made when first used."""
    description: str = ""
    cpus: int = 1
    """Threads that the engine may have at once, over all cores."""
    lone: bool = False
    """Whether a prompt that is alone is computed in steps that may be longer than STEP_MAX_MS."""


class Failed(_Message, frozen=True):
    """The engine cannot serve: the model is broken, memory is short. It exits after it."""

    code: str
    detail: str


FromEngine = Step | Halted | Done | Ready | Failed


# Control channel.


class Piece(msgspec.Struct, frozen=True):
    """One message of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


class Render(_Message, frozen=True):
    """Conversation to tokens by the model's template; raw: contents joined, no template."""

    id: int
    pieces: list[Piece]
    raw: bool = False


class Tokenize(_Message, frozen=True):
    """Texts to tokens, special tokens taken as text."""

    id: int
    texts: list[str]


class Schema(_Message, frozen=True):
    """JSON schema (as JSON text) to GBNF."""

    id: int
    text: str


class Reply(_Message, frozen=True):
    """Answer to a request: error is empty, or a line with the cause."""

    id: int
    tokens: list[list[int]] = []
    text: str = ""
    error: str = ""


Request = Render | Tokenize | Schema

_encoder = msgspec.msgpack.Encoder()
to_engine: msgspec.msgpack.Decoder[ToEngine] = msgspec.msgpack.Decoder(ToEngine)
from_engine: msgspec.msgpack.Decoder[FromEngine] = msgspec.msgpack.Decoder(FromEngine)
requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def pack(message: Any) -> bytes:
    """One message with its length before it."""
    data = _encoder.encode(message)
    return len(data).to_bytes(4, "big") + data
