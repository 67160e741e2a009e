"""Runs a program to its end over a bare llama.cpp loop: what the kernel does, less the kernel.

It knows the effects and events of abi/program.py. After each step the state goes through msgpack and
back, as it does when a process is written down.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from llmsh.abi import program as p
from llmsh.abi import unitfile
from llmsh.abi.lease import Sampling
from llmsh.abi.unit import Unit
from llmsh.programs.table import PROGRAMS

from .barellama import BareLlama


class Result(NamedTuple):
    """What a process left."""

    status: int
    out: bytes
    err: bytes
    answers: list[str]
    """What each Generate made, in order."""

    @property
    def text(self) -> str:
        return self.out.decode()


def image(unit: Unit, args: list[str], stdin: bool, options: dict[str, Any], **changes: Any) -> p.Image:
    """The image that the kernel would make of a unit and these arguments."""
    sampling = msgspec.convert({"repeat_penalty": 1.0, **unit.sampling}, Sampling)
    return p.Image(
        unit=unit,
        args=args,
        options=unitfile.validate_options(unit, options),
        sampling=sampling,
        stdin=stdin,
        **{"max_tokens": unit.limits.answer, **changes},
    )


def written(states: Any, state: p.State) -> Any:
    """The state after it was written down and taken up again."""
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=states)
    assert again == state
    return again


class Runner:
    """Runs programs on one model, one after the other."""

    def __init__(self, llama: BareLlama) -> None:
        self.llama = llama

    def run(self, agent: str | Unit, *args: str, stdin: bytes | None = None, **given: Any) -> Result:
        """Run an agent to its end. `given`: its options, and `image_NAME` for fields of the image."""
        unit = unitfile.find(agent) if isinstance(agent, str) else agent
        changes = {name[6:]: given.pop(name) for name in list(given) if name.startswith("image_")}
        made = image(unit, list(args), stdin is not None, given, context=self.llama.context, **changes)
        machine = PROGRAMS[unit.kind]
        self._left = stdin or b""
        self._answers: list[str] = []
        outputs = {1: b"", 2: b""}
        state, effects = machine.start(made)
        while True:
            event: p.Event | None = None
            for effect in effects:
                assert event is None, "an effect after one that answers"
                if isinstance(effect, p.Write):
                    outputs[effect.fd] += effect.data
                elif isinstance(effect, p.Exit):
                    note = f"{unit.name}: {effect.note}\n".encode() if effect.note else b""
                    return Result(effect.status, outputs[1], outputs[2] + note, self._answers)
                else:
                    event, written_out = self._do(effect)
                    if written_out:
                        outputs[1] += written_out
            assert event is not None, "nothing to wait for"
            state, effects = machine.step(written(machine.states, state), event)

    def _do(self, effect: p.Effect) -> tuple[p.Event, bytes]:
        match effect:
            case p.Read():
                return self._read(effect), b""
            case p.Context():
                return self._context(effect), b""
            case p.Generate():
                why, text, count = self.llama.generate(effect.sampling, effect.max_tokens)
                self._answers.append(text.decode(errors="replace"))
                event = p.Generated(why, text if effect.capture else b"", count)
                return event, text if effect.fd == 1 else b""
            case p.Score():
                return p.Scored(self.llama.score(effect.labels)), b""
            case p.Count():
                return p.Counted([len(self.llama.tokens(text)) for text in effect.texts]), b""
            case p.Compile():
                return p.Compiled(self.llama.grammar(effect.schema)), b""
            case _:
                raise AssertionError(effect)

    def _read(self, effect: p.Read) -> p.Input:
        take: Callable[[bytes], int] = len
        end = min(take(self._left), effect.max)
        if effect.until == "line" and b"\n" in self._left[:end]:
            end = self._left.index(b"\n") + 1
        data, self._left = self._left[:end], self._left[end:]
        return p.Input(data, eof=not self._left)

    def _context(self, effect: p.Context) -> p.Event:
        pieces, dropped = list(effect.pieces), 0
        while True:
            tokens = self.llama.render(pieces, effect.raw)
            if len(tokens) + effect.reserve <= self.llama.context:
                break
            first = int(pieces[0].role == "system")
            if not effect.shift or len(pieces) <= first + 1:
                if len(tokens) <= self.llama.context:
                    break
                return p.Refused("E2BIG", f"{len(tokens)} tokens: the context holds {self.llama.context}")
            del pieces[first]
            dropped += 1
        self.llama.place(tokens)
        return p.Placed(len(tokens), self.llama.context - len(tokens), dropped)
