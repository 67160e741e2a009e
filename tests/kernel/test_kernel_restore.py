"""Images against computing again, by the measured rates: what is kept, written, read back, and what is dropped."""

from array import array

import pytest

from llmsh.abi.lease import Done
from llmsh.drivers.fakecore import CELL_BYTES, Options
from llmsh.kernel.io.queue import MERGED_BYTES, Elevator, Request
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.restore import COMPUTE_MS, FILE_MS, MEMORY_S, MIB, SAMPLES, Followed, Restore, lost
from llmsh.kernel.sched import Task
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from llmsh.kernel.tax import Tax
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed


class Clock:
    """The time, and what a table of rates says of a token."""

    def __init__(self) -> None:
        self.at = 0.0
        self.token = 0.0

    def now(self) -> float:
        return self.at

    def input_ms(self, tokens: int) -> float:
        return tokens * self.token


def holder(tokens: int, exact: bool = False) -> Stream:
    stream = Stream(1, Task(1, "s"), exact=exact)
    stream.computed = tokens
    return stream


# Rates.


def test_a_rate_is_the_median_of_the_last_samples() -> None:
    rate = Followed(1.0)
    assert (bool(rate), rate.value(0)) == (False, 1.0)
    for sample in (2.0, 2.2, 900.0, 2.1, 0.001):
        rate.saw(sample, 0)
    assert rate.value(1e9) == 2.1
    for _ in range(SAMPLES):
        rate.saw(7.0, 0)
    assert rate.value(0) == 7.0


def test_a_slow_disk_is_tried_again_after_a_while_and_a_fast_one_stays_so() -> None:
    slow, fast = Followed(FILE_MS, MEMORY_S), Followed(FILE_MS, MEMORY_S)
    slow.saw(100 * FILE_MS, 50)
    fast.saw(FILE_MS / 100, 50)
    assert slow.value(50) == pytest.approx(100 * FILE_MS)
    assert slow.value(50 + MEMORY_S) < 6 * FILE_MS
    assert slow.value(50 + 20 * MEMORY_S) == pytest.approx(FILE_MS)
    assert fast.value(50 + 20 * MEMORY_S) == FILE_MS / 100


def test_costs_are_of_what_was_measured_and_the_table_comes_first() -> None:
    clock = Clock()
    restore = Restore(Tax(), clock)
    assert restore.computing(100) == 100 * COMPUTE_MS
    restore.computed(8, 0, 40.0)  # so few, and so short: it says nothing of input
    restore.computed(1, 9, 1e3)  # nor does one that is mostly of answers
    restore.computed(100, 20, 360.0)
    assert restore.computing(100) == pytest.approx(300)
    clock.token = 0.5
    assert restore.computing(100) == 50
    slow = Restore(Tax(), Clock())
    slow.computed(3, 0, 120.0)
    assert slow.computing(100) == pytest.approx(4000)
    memory = restore.keeping(100)
    assert restore.reading(2 * MIB, 100) == pytest.approx(2 * FILE_MS + memory / 2)
    assert restore.reading(2000, 100) == restore.reading(MIB, 100)
    restore.moved(True, 10 * MIB, 30.0)
    assert restore.reading(2 * MIB, 100) == pytest.approx(6 + memory / 2)
    restore.moved(False, 10 * MIB, 10.0)
    assert restore.reading(2 * MIB, 100) == pytest.approx(2 + memory / 2)
    assert restore.filing(2 * MIB, 100) == pytest.approx(8 + memory / 2)
    copy = restore.record()["copy_ms"]
    assert restore.record() == {"compute_ms": 3.0, "copy_ms": copy, "write_ms": 3.0, "read_ms": 1.0}


def test_what_was_not_measured_is_null() -> None:
    record = Restore(Tax(), Clock()).record()
    assert [record[name] for name in ("compute_ms", "write_ms", "read_ms")] == [None] * 3


# What is worth an image.


def test_few_tokens_of_a_tiny_model_are_computed_again() -> None:
    clock = Clock()
    restore = Restore(Tax(), clock)
    clock.token = 0.01
    assert not restore.keeps(holder(3))
    assert restore.keeps(holder(1000))
    assert restore.keeps(holder(3, exact=True))
    clock.token = 1.0
    assert restore.keeps(holder(3))


def test_a_slow_disk_gets_only_what_takes_long_to_compute() -> None:
    clock = Clock()
    restore = Restore(Tax(), clock)
    clock.token = 1.0
    stream, size = holder(1000), 20 * MIB
    assert restore.files(stream, size)
    restore.moved(True, MIB, 200.0)
    assert not restore.files(stream, size)
    assert not restore.reads(stream, size)
    assert restore.files(holder(1000, exact=True), size)
    clock.token = 100.0
    assert restore.files(stream, size)


def test_who_is_lost_with_a_holder_counts() -> None:
    keeper, deeper = (Keeper(array("i", range(n)), "k", 0) for n in (20, 50))
    keeper.computed = 20
    deeper.computed, deeper.base, deeper.shared = 50, keeper, 20
    one, two = holder(60), holder(75)
    for stream in (one, two):
        stream.base, stream.shared = deeper, 50
        deeper.users.add(stream)
    keeper.users.add(deeper)
    assert (lost(one), lost(two)) == (10, 25)
    assert lost(keeper) == 20 + 30 + 10 + 25
    deeper.users.discard(two)
    assert lost(one) == 10 + 30 + 20


# Processes.


def sleepers(client: Client, count: int) -> list[int]:
    """Chats that have answered a line of their own, and wait for the next."""
    chats = []
    for n in range(count):
        chat = client.run("talk", "", stdin="client", params={"tty": True, "max_tokens": 10})
        wanted(client, [chat])
        say(client, chat, f"{n:03}" * 50)
        wanted(client, [chat])
        chats.append(chat)
    return chats


def wanted(client: Client, chats: list[int]) -> None:
    client.machine.clock.run_until(lambda: all(chat in client.wanted for chat in chats), 36_000)


def say(client: Client, chat: int, text: str) -> None:
    del client.wanted[chat]
    client.post("write", text.encode() + b"\n", pid=chat, fd=0, eof=False)


def woken(disk: float, prefill: float) -> tuple[Machine, list[bool], int]:
    """Twelve sleepers in the memory of three are all woken: what the file was used for, and how many tokens were
    computed for a line of four."""
    options = Options(cells=600, context=500, answer=60, sequences=16, disk=disk, prefill=prefill)
    m = Machine(options, settings=Settings(strict=True, swap_memory=500 * CELL_BYTES, swap_file=10_000 * CELL_BYTES))
    client = m.client()
    chats = sleepers(client, 12)
    host = m.kernel.hosts["fake"]
    before = host.tokens_in
    for chat in chats:
        say(client, chat, "more")
    wanted(client, chats)
    m.sound()
    assert m.device.engine is not None
    return m, [each.write for each in m.device.engine.transfers], host.tokens_in - before


def test_a_call_that_failed_says_nothing_of_the_disk() -> None:
    m, _, _ = woken(disk=0.01, prefill=0.2)
    swap = m.kernel.hosts["fake"].swap
    before = swap.restore.record()
    swap._call = [Request(0, 4096, 9, write=True)]
    for _ in range(SAMPLES):
        swap.done(holder(10), Done(0, 0, error="No space left on device", ms=9e9))
    swap._call = []
    assert swap.restore.record() == before


@pytest.mark.parametrize(("ms", "prefill", "saved"), [(0.1, 0.001, False), (5.0, 0.2, True)])
def test_what_is_computed_as_soon_is_not_saved(ms: float, prefill: float, saved: bool) -> None:
    """Two chats that do not fit beside each other."""
    m = Machine(Options(cells=100, context=100, answer=10, ms=ms, prefill=prefill, save=0.0))
    client = m.client()
    ready = client.run("say", "x" * 80, params={"max_tokens": 2})  # so that the rate of computing is known
    m.clock.run_until(lambda: bool(client.exited(ready)))
    chats = [client.run("talk", "", stdin="client", params={"tty": True, "max_tokens": 10}) for _ in range(2)]
    wanted(client, chats)
    for n, chat in enumerate(chats):
        say(client, chat, f"{n}" * 25)
        wanted(client, [chat])
    m.sound()
    assert (sum(client.row(chat)["swap"] for chat in chats) > 0) == saved
    before = m.kernel.hosts["fake"].tokens_in
    for chat in chats:
        say(client, chat, "on")
        wanted(client, [chat])
    assert (m.kernel.hosts["fake"].tokens_in - before < 70) == saved


def test_a_fast_disk_is_used_and_nothing_is_computed_again() -> None:
    m, transfers, computed = woken(disk=0.01, prefill=0.2)
    assert transfers.count(False) >= 6
    assert computed < 12 * 40
    record = m.kernel.hosts["fake"].swap.restore.record()
    assert 0 < record["write_ms"] < FILE_MS
    assert 0 < record["read_ms"] < FILE_MS


def test_a_slow_disk_is_tried_and_left_alone() -> None:
    m, transfers, computed = woken(disk=5.0, prefill=0.2)
    assert 1 <= len(transfers) <= 4
    assert computed > 4 * 150
    assert m.kernel.hosts["fake"].swap.restore.record()["write_ms"] > 50 * FILE_MS


def test_a_slow_disk_is_used_where_computing_is_slower() -> None:
    _, transfers, computed = woken(disk=5.0, prefill=40.0)
    assert transfers.count(False) >= 6
    assert computed < 12 * 40


@pytest.mark.parametrize("disk", [0.0, 0.05, 0.5, 20.0])
@pytest.mark.parametrize("prefill", [0.0, 0.2, 5.0])
def test_whatever_is_cheaper_the_text_is_the_same(disk: float, prefill: float) -> None:
    options = Options(cells=600, context=500, answer=60, sequences=16, disk=disk, prefill=prefill)
    settings = Settings(strict=True, swap_memory=100 * CELL_BYTES, swap_file=10_000 * CELL_BYTES)
    m = Machine(options, settings=settings)
    client = m.client()
    jobs = [Job("ask", f"{n:02}" * 100, None, (("max_tokens", 100),)) for n in range(8)]
    pids = [job.start(client)[0] for job in jobs]
    m.clock.run_until(lambda: all(map(client.exited, pids)), 36_000)
    m.go(1)
    m.sound()
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, options) for job in jobs]


def test_an_engine_is_not_killed_while_its_disk_takes_long() -> None:
    """25 s for one call, while nothing runs."""
    options = Options(cells=600, context=500, answer=60, sequences=16, disk=150.0, prefill=5000.0)
    m = Machine(options, settings=Settings(strict=True, swap_memory=1, swap_file=10_000 * CELL_BYTES))
    client = m.client()
    sleepers(client, 5)
    host = m.kernel.hosts["fake"]
    m.clock.run_until(lambda: not host.busy, 36_000)
    assert host.incarnation == 1
    assert host.swap.restore.record()["write_ms"] > 15_000


def test_a_call_of_several_has_a_bound_in_bytes() -> None:
    elevator, size = Elevator(), MERGED_BYTES // 2
    for n in range(5):
        elevator.add(Request(n * size, size, n + 1, write=True))
    assert [len(elevator.next()) for _ in range(3)] == [2, 2, 1]
    elevator.add(Request(0, 3 * size, 9, write=False))
    assert [each.q for each in elevator.next()] == [9]
