"""Images beyond what memory may hold: to a file in one order or another, and back, or computed again."""

import random
from array import array
from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.lease import Done, Transfer
from llmsh.drivers.fakecore import CELL_BYTES, Options
from llmsh.kernel.holder import Holder
from llmsh.kernel.io.extents import Extents
from llmsh.kernel.io.queue import MERGED_MAX, Elevator, Fifo, Request
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.sched import Task
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from llmsh.kernel.swap import Limits, Swap
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

OPTIONS = Options(cells=600, context=500, answer=60, sequences=16)


def machine(memory: int, file: int, order: str = "elevator", options: Options = OPTIONS) -> Machine:
    """Memory and file hold so many cells' worth of images."""
    memory, file = memory * CELL_BYTES, file * CELL_BYTES
    return Machine(options, settings=Settings(strict=True, swap_order=order, swap_memory=memory, swap_file=file))


def sleepers(client: Client, count: int, size: int) -> list[int]:
    """Chats that have answered a line of their own, and wait for the next."""
    chats = []
    for n in range(count):
        chat = client.run("talk", "", stdin="client", params={"tty": True, "max_tokens": 10})
        wait(client, chat)
        line(client, chat, f"{n:03}" * (size // 3))
        wait(client, chat)
        chats.append(chat)
    return chats


def wait(client: Client, pid: int) -> None:
    """Until it wants a line."""
    client.machine.clock.run_until(lambda: pid in client.wanted)


def line(client: Client, pid: int, text: str) -> None:
    del client.wanted[pid]
    client.post("write", text.encode() + b"\n", pid=pid, fd=0, eof=False)


def finish(client: Client, pids: list[int]) -> None:
    client.machine.clock.run_until(lambda: all(map(client.exited, pids)), 3600)
    client.machine.go(1)
    client.machine.sound()


# The file.


def test_extents_are_taken_first_fit_and_grow_together_again() -> None:
    extents = Extents(100)
    places = [extents.take(size) for size in (30, 30, 30)]
    assert places == [0, 30, 60]
    assert extents.take(11) is None
    extents.give(0, 30)
    extents.give(60, 30)
    assert extents.take(40) == 60
    extents.give(60, 40)
    extents.give(30, 30)
    assert extents.take(100) == 0
    assert extents.check() == []


def test_extents_at_random_never_overlap(rng: random.Random) -> None:
    extents = Extents(1000)
    held: dict[int, int] = {}
    for _ in range(2000):
        if held and rng.random() < 0.5:
            offset = rng.choice(list(held))
            extents.give(offset, held.pop(offset))
        else:
            size = rng.randint(1, 120)
            at = extents.take(size)
            if at is not None:
                assert all(at + size <= other or at >= other + n for other, n in held.items())
                held[at] = size
        assert extents.check() == []
        assert extents.used == sum(held.values())


def writes(*offsets: int, size: int = 10) -> list[Request]:
    return [Request(offset, size, q, write=True) for q, offset in enumerate(offsets, 1)]


def calls(queue: Fifo | Elevator, requests: list[Request]) -> list[list[int]]:
    for request in requests:
        queue.add(request)
    out = []
    while len(queue):
        out.append([each.offset for each in queue.next()])
    return out


def test_none_is_as_they_come_one_a_call() -> None:
    assert calls(Fifo(), writes(50, 10, 20, 0)) == [[50], [10], [20], [0]]


def test_the_elevator_goes_up_and_takes_neighbours_along() -> None:
    elevator = Elevator()
    assert calls(elevator, writes(50, 10, 20, 0, 80)) == [[0, 10, 20], [50], [80]]
    elevator.add(Request(30, 10, 7, write=True))
    elevator.add(Request(95, 5, 8, write=True))
    assert [each.offset for each in elevator.next()] == [95]
    assert [each.offset for each in elevator.next()] == [30]


def test_who_is_waited_for_is_read_first() -> None:
    read = Request(70, 10, 9, write=False)
    assert calls(Elevator(), [*writes(0, 10), read]) == [[70], [0, 10]]


def test_a_call_has_a_bound() -> None:
    found = calls(Elevator(), writes(*range(0, 1000, 10)))
    assert max(map(len, found)) == MERGED_MAX
    assert [offset for call in found for offset in call] == list(range(0, 1000, 10))


# Processes.


def test_sleepers_beyond_the_memory_go_to_the_file_and_come_back() -> None:
    m = machine(memory=500, file=10_000)
    client = m.client()
    chats = sleepers(client, 12, 150)
    worker = client.run("say", "z" * 100, params={"max_tokens": 300, "ignore_eos": True})
    finish(client, [worker])
    host = m.kernel.hosts["fake"]
    assert 0 < host.swap.used <= 500 * CELL_BYTES
    assert host.swap.extents.used > 0
    before = [client.row(chat)["tokens_in"] for chat in chats]
    for chat in chats:
        line(client, chat, "more")
    m.clock.run_until(lambda: all(chat in client.wanted for chat in chats))
    m.sound()
    # Nothing was computed again: only the new line.
    assert all(client.row(chat)["tokens_in"] - old < 40 for chat, old in zip(chats, before, strict=True))
    assert m.device.engine is not None
    assert {each.write for each in m.device.engine.transfers} == {True, False}
    for chat in chats:
        client.post("kill", pid=chat, sig=sig.KILL)
    m.go(1)
    m.sound()
    assert not [each for each in host.swap._images if each not in host.cores[0].sharing.keepers]


@pytest.mark.parametrize("order", ["none", "elevator"])
def test_the_order_is_that_which_was_set(order: str) -> None:
    m = machine(memory=900, file=100_000, order=order)
    client = m.client()
    chats = sleepers(client, 14, 120)
    worker = client.run("say", "z" * 100, params={"max_tokens": 300, "ignore_eos": True})
    finish(client, [worker])
    for chat in chats:
        line(client, chat, "more")
    m.clock.run_until(lambda: all(chat in client.wanted for chat in chats))
    assert m.device.engine is not None
    sizes = [len(each.qs) for each in m.device.engine.transfers]
    assert (max(sizes) > 1) == (order == "elevator")


@pytest.mark.parametrize(("memory", "file"), [(100, 0), (100, 150), (1, 100_000), (0, 0)])
def test_whatever_there_is_room_for_the_text_is_the_same(memory: int, file: int) -> None:
    m = machine(memory, file)
    client = m.client()
    jobs = [Job("ask", f"{n:02}" * 100, None, (("max_tokens", 100),)) for n in range(8)]
    pids = [job.start(client)[0] for job in jobs]
    finish(client, pids)
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, OPTIONS) for job in jobs]


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1, 2, 3])
def test_an_engine_that_dies_with_its_file_loses_nothing(seconds: float) -> None:
    m = machine(memory=100, file=100_000)
    client = m.client()
    jobs = [Job("ask", f"{n:02}" * 100, None, (("max_tokens", 100),)) for n in range(8)]
    pids = [job.start(client)[0] for job in jobs]
    m.go(seconds)
    m.device.crash("killed by signal 9")
    finish(client, pids)
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, OPTIONS) for job in jobs]


def test_killed_at_any_moment_of_it(rng: random.Random) -> None:
    m = machine(memory=100, file=2000)
    client = m.client()
    for _ in range(12):
        pids = [client.run("ask", f"{rng.random()}" * 12, params={"max_tokens": 60}) for _ in range(8)]
        for pid in pids:
            m.go(rng.random() * 0.2)
            if client.exited(pid) is None:
                client.post("kill", pid=rng.choice(pids), sig=sig.KILL)
            m.sound()
        finish(client, [pid for pid in pids if client.exited(pid) is None])
    assert client.call("check")["cells"] == 0


class Alone:
    """Port, core and sharing of a swap that stands alone: keeps what is posted, forgets what it is told to."""

    def __init__(self, memory: int, file: int) -> None:
        self.posted: list[Transfer] = []
        self.ends: list[Any] = []
        self.forgotten: list[Holder] = []
        self.sharing = self
        self.swap = Swap(self, {0: self}, Limits(memory, file), lambda: None)  # type: ignore[arg-type]  # what it uses

    def now(self) -> float:
        return 0.0

    def input_ms(self, tokens: int) -> float:
        return 0.0

    def operation(self, holder: Holder, ended: Any) -> int:
        self.ends.append((holder, ended))
        return len(self.ends)

    def post(self, message: Transfer) -> None:
        self.posted.append(message)

    def rank(self, stream: Stream) -> tuple[float, ...]:
        return (stream.ident,)

    def rebuild(self, stream: Holder) -> None:
        self.forgotten.append(stream)
        stream.image = 0
        self.swap.gone(stream)

    def lose(self, keeper: Keeper) -> None:
        for user in list(keeper.users):
            self.rebuild(user)
        self.rebuild(keeper)

    def saved(self, holder: Holder, q: int, size: int) -> None:
        holder.q, holder.core, holder.image = q, 0, 1
        self.swap.done(holder, Done(0, q, size=size))

    def end(self, error: str = "") -> None:
        holder, ended = self.ends[-1]
        ended(holder, len(self.ends), error, [])


def family() -> tuple[Keeper, list[Stream]]:
    """A keeper, and two streams that are based on it."""
    keeper = Keeper(array("i", range(20)), "k", 0)
    keeper.computed = 20
    streams = [Stream(ident, Task(ident, "s"), exact=False) for ident in (1, 2)]
    for stream in streams:
        stream.client = type("Nobody", (), {"away": False})()
        stream.base, stream.shared, stream.computed = keeper, 20, 40
        keeper.users.add(stream)
    return keeper, streams


def test_a_call_that_fails_forgets_what_it_was_about_once() -> None:
    alone = Alone(memory=100, file=1000)
    keeper, (one, two) = family()
    for q, holder in enumerate((keeper, one, two), 1):
        alone.saved(holder, q, 60)
    assert [each.qs for each in alone.posted] == [[1]]
    alone.end()
    assert alone.posted[-1].write
    while alone.swap._call:
        alone.end("No space left on device")
    assert alone.swap.check() == []
    assert alone.swap.extents.used == sum(each.size for each in alone.swap._placed.values())


def test_without_a_file_a_keeper_takes_along_who_is_based_on_it() -> None:
    alone = Alone(memory=100, file=0)
    keeper, (one, two) = family()
    for q, holder in enumerate((keeper, one, two), 1):
        alone.saved(holder, q, 60)
    assert keeper in alone.forgotten
    assert alone.swap.check() == []
    assert alone.swap.used <= 100


def test_what_is_fetched_stays_until_it_is_loaded_or_somebody_needier_of_the_core_comes() -> None:
    alone = Alone(memory=70, file=1000)
    _, streams = family()
    for q, stream in enumerate(streams, 1):
        stream.base = None
        alone.saved(stream, q, 60)
    needy, other = streams
    while alone.swap._call:
        alone.end()
    swap = alone.swap
    assert swap.in_memory(other)
    assert not swap.ready(needy, 0, [needy])
    while alone.swap._call:  # the one is brought back, and the other goes
        alone.end()
    assert swap.in_memory(needy)
    asked = len(alone.posted)
    assert not swap.ready(other, 0, [other])
    assert len(alone.posted) == asked  # it waits until the needier has its image
    assert swap.ready(needy, 0, [needy])
    swap.withdraw(needy)
    assert not swap.ready(other, 0, [other])
    assert len(alone.posted) == asked + 1
