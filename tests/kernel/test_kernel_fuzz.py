"""Frames of every kind against the decoder and the dispatcher: no input kills the kernel or leaks.

LLMSH_FUZZ_FRAMES sets how many (make soak: ten million), LLMSH_SEED repeats a run, LLMSH_FUZZ_KEEP=1
writes what reached new code to tests/corpus.
"""

import os
import random
import time

import pytest

from llmsh.abi.errors import Error
from llmsh.abi.limits import FRAME_MAX, HEAD_MAX
from llmsh.abi.syscalls import CALLS
from llmsh.abi.wire import Decoder, encode
from tests.support.frames import pack, seeds, unpack
from tests.support.fuzzing import CORPUS, Conn, Fuzzer, corpus, keep
from tests.support.machine import Machine

FRAMES = int(os.environ.get("LLMSH_FUZZ_FRAMES", "100000"))
SOAK_FRAMES = int(os.environ.get("LLMSH_FUZZ_FRAMES", "10000000"))


def play(rng: random.Random, frames: int, traced: float) -> Fuzzer:
    fuzzer = Fuzzer(rng, corpus(), traced)
    while fuzzer.frames < frames:
        fuzzer.batch()
    if os.environ.get("LLMSH_FUZZ_KEEP"):
        keep(fuzzer.found)
    return fuzzer


def test_no_frames_break_the_kernel_or_leak(rng: random.Random) -> None:
    fuzzer = play(rng, FRAMES, 0.03)
    assert fuzzer.frames >= FRAMES
    # The corpus reaches what there is: an empty set would mean that nothing was looked at.
    assert len(fuzzer.coverage.edges) > 300


@pytest.mark.soak
def test_no_frames_break_the_kernel_or_leak_for_long(rng: random.Random) -> None:
    assert play(rng, SOAK_FRAMES, 0.1).frames >= SOAK_FRAMES


def test_the_corpus_has_every_call_and_is_readable() -> None:
    names = {head.get("call") for data in corpus() for head, _ in unpack(data) if isinstance(head.get("call"), str)}
    assert {call.name for call in CALLS} <= names
    for name, frames in seeds().items():
        assert unpack((CORPUS / f"{name}.bin").read_bytes()) == frames, f"{name}.bin is not what frames.py makes"


@pytest.mark.parametrize("name", [call.name for call in CALLS])
def test_valid_frames_of_every_call_are_answered(name: str) -> None:
    machine = Machine()
    client = machine.client()
    client.run("say")
    for head, body in seeds()[name]:
        args = {
            key: machine.kernel.table.last if (key, value) == ("pid", 0) else value
            for key, value in head["args"].items()
        }
        call = client.post(name, body, **args)
        machine.go(3)
        waits = args.get("follow") or name == "wait"
        assert call in client.replies or waits
    machine.sound()


# Bytes.


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\3\0\0\0\0", b"\0\0\0\4\0\0\0\1", b"\xff\xff\xff\xff\0\0\0\0",
        (FRAME_MAX + 1).to_bytes(4, "big") + bytes(4),
        (HEAD_MAX + 9).to_bytes(4, "big") + (HEAD_MAX + 1).to_bytes(4, "big"),
        pack({})[:8] + b"[]", b"\0\0\0\4\0\0\0\0", b"\0\0\0\6\0\0\0\2\xff\xff", b"\0\0\0\x0b\0\0\0\7\xef\xbb\xbf{}  ",
    ],
)  # fmt: skip
def test_bytes_that_are_no_frame_end_the_connection(data: bytes) -> None:
    with pytest.raises(Error) as caught:
        list(Decoder().feed(data))
    assert caught.value.code == "EPROTO"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 1 << 20])
def test_frames_may_come_in_pieces_of_any_size(size: int) -> None:
    frames = [frame for each in seeds().values() for frame in each]
    data = b"".join(encode(*frame) for frame in frames)
    decoder = Decoder()
    got = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    assert got == frames
    assert decoder.pending == 0


def test_the_largest_frame_passes_and_one_byte_more_does_not() -> None:
    head = {"id": 1}
    room = FRAME_MAX - 4 - len(b'{"id":1}')
    data = encode(head, bytes(room))
    assert list(Decoder().feed(data)) == [(head, bytes(room))]
    for too_long in ((head, bytes(room + 1)), ({"x": "y" * HEAD_MAX}, b"")):
        with pytest.raises(Error, match="frame of"):
            encode(*too_long)


# What grows faster than it should.

RUN = b'{"id":1,"call":"run","args":{"agent":"say","model":"fake","params":{'
HUGE = {
    "deep lists": b'{"id":1,"call":"run","args":' + b"[" * 100_000,
    "deep maps": b'{"id":1,"call":"run","args":' + b'{"a":' * 40_000,
    "deep and whole": b'{"id":1,"call":"ps","args":{"pids":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "many numbers": b'{"id":1,"call":"ps","args":{"pids":[' + b",".join([b"1"] * 100_000) + b"]}}",
    "a long number": b'{"id":' + b"9" * 200_000 + b"}",
    "long but legal numbers": b'{"id":1,"call":"kill","args":{"pid":' + b"9" * 4000 + b',"sig":-' + b"9" * 4000 + b"}}",
    "many keys": b'{"id":1,"call":"run","args":{' + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}}",
    "one key again and again": b'{"id":1,"call":"run","args":{' + b",".join([b'"agent":"say"'] * 15_000) + b"}}",
    "a long name": b'{"id":1,"call":"' + b"x" * 250_000 + b'"}',
    "a long escape": b'{"id":1,"call":"' + b"\\u0041" * 40_000 + b'"}',
    "surrogates": b'{"id":1,"call":"run","args":{"agent":"' + b"\\ud800" * 40_000 + b'"}}',
    "spaces": b'{"id":1,' + b" " * 250_000 + b'"call":"null"}',
    "stops": RUN + b'"stop":"[' + b",".join([b'\\"' + b"a" * 250 + b'\\"'] * 32) + b']"}}}',
    "a deep schema": RUN + b'"schema":"' + b"[" * 200_000 + b'"}}}',
    "a deep stop": RUN + b'"stop":"' + b"[" * 200_000 + b'"}}}',
    "a wide bias": RUN + b'"logit_bias":"{' + b",".join(b'\\"%d\\":1' % n for n in range(15_000)) + b'}"}}}',
    "long arguments": b'{"id":1,"call":"run","args":{"agent":"ask","model":"fake","args":["' + b"x" * 131_000 + b'"]}}',
    "many arguments": b'{"id":1,"call":"run","args":{"agent":"ask","model":"fake","args":['
    + b",".join([b'""'] * 60_000)
    + b"]}}",
}


@pytest.mark.parametrize("name", HUGE)
def test_nothing_huge_takes_long_or_breaks(name: str) -> None:
    """CPU time, generously: what is quadratic in a frame takes minutes."""
    machine = Machine()
    conn = Conn(machine, 1)
    conn.feed(pack({"id": 1, "call": "hello", "args": {"major": 1}}))
    text = HUGE[name]
    began = time.process_time()
    conn.feed((4 + len(text)).to_bytes(4, "big") + len(text).to_bytes(4, "big") + text)
    machine.go(1)
    assert time.process_time() - began < 10
    machine.sound()
    conn.close("done")
    machine.go(1)
    assert len(machine.kernel.table) == 0
    machine.sound()
