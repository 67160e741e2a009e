"""A program run without a kernel: every effect is answered at once, from a script.

Every step is checked against abi.program: writes first, then one effect that answers, or Exit; and the
state, written down and read again, goes on with equal effects. A text has a token for four characters.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from llmsh.abi.lease import Piece, Sampling
from llmsh.abi.program import (
    Compile,
    Compiled,
    Context,
    Count,
    Counted,
    Effect,
    Event,
    Exit,
    Generate,
    Generated,
    Image,
    Input,
    Placed,
    Program,
    Read,
    Refused,
    Score,
    Scored,
    State,
    Turn,
    Write,
)
from llmsh.abi.unit import Unit
from llmsh.programs.table import PROGRAMS

CONTEXT = 1000
LABELS = ("good", "bad")
Answer = Callable[[str], bytes | Event]
Score_ = Callable[[str], list[float] | Event]


def image(kind: str, *args: str, unit: Unit | None = None, **more: object) -> Image:
    """A process of a plain unit of this kind, with these text arguments; `more` are Image's fields."""
    schema = '{"type": "object"}' if kind == "extract" else ""
    unit = unit or Unit(name="it", kind=kind, description="for tests", labels=LABELS, schema=schema)
    plain = Image(unit, list(args), {}, Sampling(), stdin=not args or "-" in args, context=CONTEXT)
    return msgspec.structs.replace(plain, **more)


def tokens(text: str) -> int:
    """How many the fake tokeniser makes of it."""
    return -(-len(text) // 4)


def echo(text: str) -> bytes:
    """Answers with what was asked."""
    return text.encode()


def vowels(text: str) -> list[float]:
    """Scores LABELS by the share of vowels."""
    share = sum(char in "aeiou" for char in text) / max(1, len(text))
    return [share, 1 - share]


def sound(program: Program, turn: Turn) -> Turn:
    """The turn, after its form has been checked."""
    state, effects = turn
    assert isinstance(state, program.states)
    assert effects, "a step without an effect"
    assert all(isinstance(effect, Write) for effect in effects[:-1]), effects
    assert not isinstance(effects[-1], Write), effects
    return turn


def again(program: Program, state: State) -> State:
    """The state after it was written down and taken up."""
    taken: State = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=program.states)
    assert taken == state
    return taken


def step(program: Program, state: State, event: Event) -> tuple[Any, list[Any]]:
    """One step, from the state and from what was written down of it. A test knows the types."""
    turn = sound(program, program.step(state, event))
    assert program.step(again(program, state), event) == turn
    again(program, turn[0])
    return turn


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    """The data in pieces of this size."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


class Run:
    """One process from its start to its end."""

    def __init__(
        self,
        given: Image,
        source: bytes | Iterator[bytes] = b"",
        *,
        cut: int = 65536,
        answer: Answer = echo,
        score: Score_ = vowels,
    ) -> None:
        """`source`: what is on descriptor 0; at most `cut` bytes of it are there at a time."""
        self.image, self.program = given, PROGRAMS[given.unit.kind]
        self._source = pieces_of(source, cut) if isinstance(source, bytes) else source
        self._answer, self._score = answer, score
        self._buffer, self._eof = b"", False
        self.out, self.err, self.status, self.note = b"", b"", -1, ""
        self.asked: list[Context] = []
        self.effects: list[Effect] = []
        self.read = self.most = 0
        """Bytes read; bytes of the largest state."""
        turn = sound(self.program, self.program.start(given))
        while True:
            self.state, effects = turn
            self.most = max(self.most, len(msgspec.msgpack.encode(self.state)))
            self.effects += effects
            for effect in effects[:-1]:
                self._write(effect)
            last = effects[-1]
            if isinstance(last, Exit):
                break
            turn = step(self.program, self.state, self._event(last))
        self.status, self.note = last.status, last.note

    @property
    def texts(self) -> list[str]:
        """The last turn of each context."""
        return [context.pieces[-1].content for context in self.asked]

    def _write(self, effect: Effect) -> None:
        assert isinstance(effect, Write)
        if effect.fd == 1:
            self.out += effect.data
        else:
            assert effect.fd == 2
            self.err += effect.data

    def _event(self, effect: Effect) -> Event:
        match effect:
            case Read():
                return self._input(effect)
            case Context():
                self.asked.append(effect)
                size = sum(tokens(piece.content) for piece in effect.pieces)
                if size >= self.image.context:
                    return Refused("E2BIG", f"input of {size} tokens, context of {self.image.context}")
                return Placed(size, self.image.context - size)
            case Count():
                return Counted([tokens(text) for text in effect.texts])
            case Compile():
                return Compiled("root ::= value")
            case Score():
                scores = self._score(self.texts[-1])
                return Scored(scores) if isinstance(scores, list) else scores
            case Generate():
                text = self._answer(self.texts[-1])
                return self._generated(effect, text) if isinstance(text, bytes) else text
        raise AssertionError(effect)

    def _generated(self, effect: Generate, text: bytes) -> Generated:
        if effect.fd >= 0:
            self._write(Write(effect.fd, text))
        return Generated("eos", text if effect.capture else b"", tokens(text.decode(errors="replace")))

    def _input(self, effect: Read) -> Input:
        """As the kernel does it."""
        assert effect.fd == 0
        taken = b""
        while True:
            line, newline, _ = self._buffer.partition(b"\n")
            ends = effect.until == "line" and bool(newline)
            want = min(effect.max - len(taken), len(line) + 1 if ends else len(self._buffer))
            taken, self._buffer = taken + self._buffer[:want], self._buffer[want:]
            whole = taken.endswith(b"\n") if effect.until == "line" else bool(taken)
            if whole or len(taken) >= effect.max or (self._eof and not self._buffer):
                self.read += len(taken)
                return Input(taken, self._eof and not self._buffer and not (effect.until == "line" and whole))
            self._buffer = next(self._source, b"")
            self._eof = not self._buffer


def user(text: str) -> list[Piece]:
    """The context of a unit without a system message or examples."""
    return [Piece("user", text)]
