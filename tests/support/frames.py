"""Frames to throw at the kernel: valid ones of every call, and what mutation makes of them.

Everything is a function of the random numbers it is given. It knows the table of calls and the wire
format, and nothing of what a call does.
"""

import json
import random
import struct
from collections.abc import Sequence
from typing import Any

from llmsh.abi.limits import FRAME_MAX
from llmsh.abi.syscalls import CALLS, TABLE

Frame = tuple[dict[str, Any], bytes]

_PREFIX = struct.Struct("!II")

NASTY: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 9, 15, 19, 18, 255, 1 << 31, -(1 << 31), 1 << 53, (1 << 53) + 1, 1 << 64,
    -(1 << 63), 10**400, 0.0, -0.0, 0.5, 1e308, -1e308, float("nan"), float("inf"), float("-inf"),
    "", "0", "\0", "\x1b[2J", "a" * 300, "\ud800", "\udfff\ud800", "\u202e", "\U0010ffff", "é" * 100,
    "pipe:", "pipe:1", "pipe:-1", "pipe:99999999999999999999", "pipe:\u0661", "client", "log", "null",
    "fake", "fake:x", "../../etc/passwd", "say", "ask", "each", "talk", "sort", "say\0",
    [], [1], [[]], ["a"], ["a", 1], [None] * 50, ["x" * 1000] * 20,
    {}, {"a": 1}, {"a": {}}, {"": ""}, {"seed": 1}, {"\ud800": 1}, {"max_tokens": 3}, {"deterministic": True},
    {"stop": '["a"]'}, {"schema": '{"type":"object"}'}, {"seconds": 0.01}, {"grace": 0}, {"context": 1},
    {"logit_bias": '{"1": 5}'}, {"logit_bias": '{"99999999999999999999": 1e999}'},
)  # fmt: skip
"""Values that somebody once forgot to think of."""

_RUNS: tuple[dict[str, Any], ...] = (
    {"agent": "say", "args": ["hello"], "model": "fake"},
    {"agent": "ask", "args": ["x" * 200], "model": "fake", "params": {"max_tokens": 12}, "nice": 5},
    {"agent": "each", "model": "fake", "stdin": "client", "params": {"max_tokens": 5}},
    {"agent": "talk", "model": "fake", "stdin": "client", "params": {"tty": True, "max_tokens": 5}},
    {"agent": "sort", "args": ["good"], "model": "fake", "params": {"scores": True}},
    {"agent": "say", "args": ["d"], "model": "fake", "detach": True, "stdout": "log", "stderr": "log"},
    {"agent": "say", "args": ["e"], "model": "fake", "params": {"deterministic": True, "seed": 7, "stop": '["e"]'}},
    {"agent": "ask", "args": ["p"], "model": "fake", "stdout": "pipe:1", "params": {"tokens": 40}},
    {"agent": "each", "model": "fake", "stdin": "pipe:1"},
    {"agent": "say", "args": ["w"], "model": "fake", "stdout": "null", "stderr": "null", "env": {"LANG": "C"}},
)  # fmt: skip
_OTHERS: dict[str, tuple[dict[str, Any], ...]] = {
    "hello": ({"major": 1, "minor": 0, "build": "x"},),
    "fork": ({"pid": 0}, {"pid": 0, "seed": 3, "stdin": "client"}, {"pid": 0, "detach": True, "stdout": "log"}),
    "pipe": ({}, {"capacity": 256}),
    "write": ({"pid": 0, "fd": 0}, {"pid": 0, "fd": 0, "eof": True}),
    "ack": ({"pid": 0, "fd": 1, "n": 10}, {"pid": 0, "fd": 2, "n": 1000}),
    "close": ({"pid": 0, "fd": 0}, {"pid": 0, "fd": 1}, {"pid": 0, "fd": 2}),
    "kill": tuple({"pid": 0, "sig": number} for number in (0, 1, 2, 9, 13, 15, 18, 19, 20)),
    "wait": ({"pid": 0, "nohang": True}, {"pid": -1, "timeout_ms": 5}, {"pid": 0, "timeout_ms": -1}),
    "ps": ({}, {"pids": [0, 1]}, {"after": 0}),
    "renice": ({"pid": 0, "nice": 3}, {"pid": 0, "nice": -2, "relative": True}),
    "limit": ({"pid": 0}, {"pid": 0, "oom": -500, "group": 300}, {"pid": 0, "session": 200}, {"pid": 0, "group": 0}),
    "setpgid": ({"pid": 0, "pgid": 0},),
    "foreground": ({"pgid": 0}, {"pgid": 0, "on": False}),
    "logs": ({"pid": 0}, {"pid": 0, "offset": -10, "follow": True}),
    "dmesg": ({}, {"after": 3, "follow": True}),
    "lsdev": ({}, {"long": True}),
    "load": ({"model": "fake"},),
    "unload": ({"model": "fake"},),
    "sched": ({}, {"policy": "fcfs"}, {"policy": "fair"}),
}


def seeds() -> dict[str, list[Frame]]:
    """Valid frames of every call, by name. A pid of 0 stands for one that lives."""
    out: dict[str, list[Frame]] = {}
    for call in CALLS:
        given = _RUNS if call.name == "run" else _OTHERS.get(call.name, ({},))
        body = b"a line\nand half a" if call.body else b""
        out[call.name] = [({"id": n, "call": call.name, "args": dict(args)}, body) for n, args in enumerate(given, 1)]
    return out


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A frame, whatever is in it: no limit is looked at."""
    text = json.dumps(head).encode("utf-8", "surrogatepass")
    return _PREFIX.pack(4 + len(text) + len(body), len(text)) + text + body


def unpack(data: bytes) -> list[Frame]:
    """The frames of a corpus file, as far as they can be read."""
    frames: list[Frame] = []
    while len(data) >= 8:
        length, headlen = _PREFIX.unpack_from(data)
        try:
            head = json.loads(data[8 : 8 + headlen])
        except (ValueError, RecursionError):
            break
        if isinstance(head, dict):
            frames.append((head, data[8 + headlen : 4 + length]))
        data = data[4 + length :]
    return frames


class Mutator:
    """Makes inputs of a corpus: lists of frames as bytes."""

    def __init__(self, rng: random.Random, corpus: Sequence[bytes]) -> None:
        self.rng = rng
        self.corpus = list(corpus)

    def input(self, pids: Sequence[int]) -> bytes:
        """The bytes of some frames; `pids` are processes that live."""
        rng = self.rng
        frames = unpack(rng.choice(self.corpus))[:6]
        for _ in range(rng.randrange(3)):
            frames += unpack(rng.choice(self.corpus))[:3]
        frames = [self._aimed(frame, pids) for frame in frames]
        if rng.random() < 0.75:
            frames = [self._frame(frame) if rng.random() < 0.3 else frame for frame in frames]
            rng.shuffle(frames)
        data = b"".join(pack(*frame) for frame in frames)
        if rng.random() < 0.2:
            data = self._bytes(data)
        return data

    def _aimed(self, frame: Frame, pids: Sequence[int]) -> Frame:
        """Point a frame at a process that lives."""
        head, body = frame
        args = head.get("args")
        if not isinstance(args, dict) or not pids:
            return frame
        aimed = {
            key: self.rng.choice(pids) * self.rng.choice((1, 1, 1, -1 if key == "pid" else 1))
            if key in ("pid", "pgid") and value == 0 and self.rng.random() < 0.95
            else value
            for key, value in args.items()
        }
        return {**head, "args": aimed}, body

    def _frame(self, frame: Frame) -> Frame:
        rng, (head, body) = self.rng, frame
        head = {**head}
        args = dict(head["args"]) if isinstance(head.get("args"), dict) else {}
        for _ in range(rng.randint(1, 3)):
            move = rng.randrange(9)
            if move <= 3:
                args[self._name(head, args)] = rng.choice(NASTY)
            elif move == 4 and args:
                del args[rng.choice(list(args))]
            elif move == 5:
                head["call"] = rng.choice([*TABLE, rng.choice(NASTY)])
            elif move == 6:
                head[rng.choice(("id", "args", "call", "x"))] = rng.choice(NASTY)
                return head, body
            elif move == 7:
                body = rng.choice((b"", b"\n", b"\0\xff\xfe\n", b"x" * 5000, body * 2))
            else:
                args[self._name(head, args)] = self._deep()
        head["args"] = args
        return head, body

    def _name(self, head: dict[str, Any], args: dict[str, Any]) -> str:
        call = head.get("call")
        known = [arg.name for arg in TABLE[call].args] if isinstance(call, str) and call in TABLE else []
        return self.rng.choice([*known, *map(str, args), "pid", "x"])

    def _deep(self) -> Any:
        value: Any = self.rng.choice(NASTY)
        for _ in range(self.rng.choice((1, 5, 100))):
            value = [value] if self.rng.random() < 0.5 else {"k": value}
        return value

    def _bytes(self, data: bytes) -> bytes:
        rng, out = self.rng, bytearray(data)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(out) + 1)
            move = rng.randrange(6)
            if move == 0 and at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            elif move == 1:
                out[at:at] = rng.randbytes(rng.randint(1, 8))
            elif move == 2:
                del out[at : at + rng.randint(1, 16)]
            elif move == 3:
                out[at : at + 4] = _PREFIX.pack(rng.choice((0, 3, 4, FRAME_MAX, FRAME_MAX + 1, 1 << 31)), 0)[:4]
            elif move == 4:
                out[at:at] = out[: rng.randint(1, 64)]
            else:
                out[at:at] = rng.choice((b"[" * 5000, b'{"a":' * 5000, b"9" * 5000, b'"\\ud800"', b"\xff\xfe", b"NaN"))
        return bytes(out)
