"""The engine's I/O thread: images to the swap file and back while steps go on; what it is told, in that order."""

import ctypes
import mmap
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from llmsh.abi import lease
from llmsh.abi.lease import Done
from tests.support.enginehost import EngineHost

pytestmark = pytest.mark.llama
PROMPTS = [list(b"Once upon a time"), list(b"Far away from here and now"), list(b"No")]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600)
    yield fd
    os.close(fd)


@pytest.fixture
def engine(tiny: Path, engines: Callable[..., EngineHost], file: int) -> EngineHost:
    return engines(tiny, swap_fd=file)


def saved(engine: EngineHost, q: int) -> Done:
    return engine.done(partial(lease.Save, q))


def load(q: int, op: int) -> lease.Load:
    return lease.Load(q, op)


def transfer(engine: EngineHost, write: bool, offset: int, qs: list[int]) -> str:
    error: str = engine.done(lambda op: lease.Transfer(op, write, offset, qs)).error
    return error


def test_images_go_and_come_side_by_side_and_the_text_goes_on(engine: EngineHost, file: int) -> None:
    sizes = []
    for q, prompt in enumerate(PROMPTS, 1):
        engine.begin(q, prompt)
        engine.run(q, len(prompt) + 10)
        sizes.append(saved(engine, q).size)
    assert min(sizes) > 0
    engine.begin(9, PROMPTS[0])
    engine.grant(9, 1500)
    assert transfer(engine, True, 4096, [2, 1]) == ""
    assert transfer(engine, True, 4096 + sizes[0] + sizes[1], [3]) == ""
    assert os.fstat(file).st_size == 4096 + sum(sizes)
    assert engine.done(partial(load, 1)).error == "its image is in the swap file"
    assert transfer(engine, False, 4096, [2, 1]) == ""
    assert transfer(engine, False, 4096 + sizes[0] + sizes[1], [3]) == ""
    for q, prompt in enumerate(PROMPTS, 1):
        assert engine.done(partial(load, q)).cells == len(prompt) + 9
        engine.run(q, len(prompt) + 20)
        engine.begin(q + 20, prompt)
        engine.run(q + 20, len(prompt) + 20)
        assert engine.tokens(q) == engine.tokens(q + 20)


def pages(fd: int) -> int:
    """Pages of the file that are in memory."""
    size = os.fstat(fd).st_size
    count = -(-size // mmap.PAGESIZE)
    there = (ctypes.c_ubyte * count)()
    with mmap.mmap(fd, size) as data:
        start = ctypes.c_char.from_buffer(data)
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), there)
        del start
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(each & 1 for each in there)


def test_what_was_moved_is_in_no_page_of_the_file(engine: EngineHost, file: int, tmp_path: Path) -> None:
    with open(tmp_path / "other", "wb+") as other:
        other.write(bytes(1 << 16))
        other.flush()
        os.fdatasync(other.fileno())
        os.posix_fadvise(other.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if pages(other.fileno()):
            pytest.skip("this file system is memory")
    engine.begin(1, PROMPTS[0])
    engine.run(1, len(PROMPTS[0]) + 400)
    size = saved(engine, 1).size
    assert size > 16 * mmap.PAGESIZE
    for write in (True, False):
        assert transfer(engine, write, 0, [1]) == ""
        assert pages(file) <= 1  # the last one is not whole
    assert engine.done(partial(load, 1)).error == ""


def test_a_transfer_says_how_long_it_took(engine: EngineHost) -> None:
    engine.begin(1, PROMPTS[0])
    engine.run(1, len(PROMPTS[0]) + 3)
    saved(engine, 1)
    for write in (True, False):
        done = engine.done(partial(moved, write))
        assert done.error == ""
        assert 0 < done.ms < 60_000


def moved(write: bool, op: int) -> lease.Transfer:
    return lease.Transfer(op, write, 0, [1])


def test_what_is_not_there_is_an_error(engine: EngineHost) -> None:
    engine.begin(1, PROMPTS[0])
    engine.run(1, len(PROMPTS[0]) + 3)
    for write in (True, False):
        assert transfer(engine, write, 0, [1]) == "an image is not there"
        assert transfer(engine, write, 0, [77]) == "an image is not there"


def test_who_is_dropped_meanwhile_is_gone(engine: EngineHost) -> None:
    engine.begin(1, PROMPTS[0])
    engine.run(1, len(PROMPTS[0]) + 3)
    saved(engine, 1)
    engine.post(lease.Transfer(900, True, 0, [1]), lease.Drop(1, 901))
    done = {engine.until(Done, lambda each: each.op in (900, 901)).op for _ in range(2)}
    assert done == {900, 901}


def test_without_a_file_images_stay(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    engine = engines(tiny)
    engine.begin(1, PROMPTS[0])
    engine.run(1, len(PROMPTS[0]) + 3)
    saved(engine, 1)
    assert transfer(engine, True, 0, [1]) == "no swap file"
    assert engine.done(partial(load, 1)).error == ""


def test_a_full_disk_is_an_error_and_the_image_stays(tiny: Path, engines: Callable[..., EngineHost]) -> None:
    full = os.open("/dev/full", os.O_RDWR)
    engine = engines(tiny, swap_fd=full)
    os.close(full)
    engine.begin(1, PROMPTS[0])
    engine.run(1, len(PROMPTS[0]) + 3)
    saved(engine, 1)
    assert transfer(engine, True, 0, [1]) == "No space left on device"
    assert engine.done(partial(load, 1)).error == ""


def adopt(engine: EngineHost, q: int, log: list[int], computed: int, at: int, size: int) -> str:
    """A sequence whose image the engine before this one wrote."""
    engine.post(lease.Open(q, 0), lease.Feed(q, 0, log))
    error: str = engine.done(lambda op: lease.Adopt(q, computed, at, size, op)).error
    return error


def test_the_next_engine_finds_what_the_last_one_wrote(
    tiny: Path, engines: Callable[..., EngineHost], file: int
) -> None:
    """A keeper of 16 tokens, and who goes on from there with cells in another order than its tokens."""
    prompt = PROMPTS[0]
    first = engines(tiny, swap_fd=file)
    first.begin(3, PROMPTS[1])
    first.run(3, len(PROMPTS[1]) + 3)
    first.begin(1, prompt)
    first.run(1, len(prompt) + 10)
    first.done(partial(lease.Drop, 3))  # what comes now lies below what is there
    first.run(1, len(prompt) + 50)
    log = prompt + first.tokens(1)
    first.done(lambda op: lease.Fork(1, 2, 16, op))
    kept = saved(first, 2)
    own = first.done(lambda op: lease.Save(1, op, 16))
    assert transfer(first, True, 0, [2, 1]) == ""
    first.close()

    second = engines(tiny, swap_fd=file)
    assert adopt(second, 7, log[:16], 16, 0, kept.size) == ""
    assert adopt(second, 5, log, len(log) - 1, 16, own.size) == ""
    assert second.done(partial(load, 5)).error == "its image is in the swap file"
    assert transfer(second, False, 0, [7, 5]) == ""
    assert second.done(partial(load, 7)).cells == 16
    assert second.done(lambda op: lease.Load(5, op, 7)).cells == len(log) - 1
    second.post(lease.Answer(5, len(prompt), lease.Sampling()))
    second.run(5, len(log) + 20)
    assert sum(count for step in second.steps() for _, count in step.fed) == 1, "the token that comes next"
    second.begin(8, prompt)
    second.run(8, len(log) + 20)
    assert log[len(prompt) :] + second.tokens(5) == second.tokens(8)


def test_what_was_cut_since_is_cut_from_the_image_of_the_last_engine(
    tiny: Path, engines: Callable[..., EngineHost], file: int
) -> None:
    first = engines(tiny, swap_fd=file)
    first.begin(1, PROMPTS[1])
    first.run(1, len(PROMPTS[1]) + 10)
    size = saved(first, 1).size
    assert transfer(first, True, 0, [1]) == ""
    first.close()
    second = engines(tiny, swap_fd=file)
    kept = PROMPTS[1][:12]
    assert adopt(second, 4, kept + PROMPTS[2], 11, 0, size) == ""
    assert transfer(second, False, 0, [4]) == ""
    assert second.done(partial(load, 4)).cells == 11
    for q in (4, 5):
        if q == 5:
            second.post(lease.Open(5, 0), lease.Feed(5, 0, kept + PROMPTS[2]))
        second.post(lease.Answer(q, len(kept + PROMPTS[2]), lease.Sampling()))
        second.run(q, len(kept + PROMPTS[2]) + 10)
    assert second.tokens(4) == second.tokens(5)


@pytest.mark.parametrize("claim", [(0, 0, 10), (40, 0, 10), (5, 5, 10), (5, 0, 0), (5, -1, 10)])
def test_an_image_that_cannot_be_is_refused(engine: EngineHost, claim: tuple[int, int, int]) -> None:
    assert "the log is 16 long" in adopt(engine, 4, PROMPTS[0], *claim)
    engine.begin(5, PROMPTS[0])
    assert engine.run(5, 20).why == lease.LIMIT


def test_a_file_that_holds_something_else_is_an_error_of_the_load(engine: EngineHost, file: int) -> None:
    os.pwrite(file, b"\xff" * (1 << 16), 0)
    assert adopt(engine, 4, PROMPTS[0], 10, 0, 1 << 15) == ""
    assert transfer(engine, False, 0, [4]) == ""
    assert engine.done(partial(load, 4)).error == "an image without its places"
    os.pwrite(file, bytes(1 << 16), 0)  # a hole
    assert adopt(engine, 8, PROMPTS[0], 10, 0, 1 << 15) == ""
    assert transfer(engine, False, 0, [8]) == ""
    assert engine.done(partial(load, 8)).error == "an image without its places"
    assert adopt(engine, 6, PROMPTS[0], 10, 0, 1 << 20) == ""
    assert transfer(engine, False, 0, [6]) == "the swap file ends early"
    engine.begin(5, PROMPTS[0])
    assert engine.run(5, 20).why == lease.LIMIT
