"""Images beyond what memory may hold: to a file in one order or another, and back, or computed again."""

import random

import pytest

from llmsh.abi import signals as sig
from llmsh.drivers.fakecore import CELL_BYTES, Options
from llmsh.kernel.io.extents import Extents
from llmsh.kernel.io.queue import MERGED_MAX, STARVED, Elevator, Fifo, Request
from llmsh.kernel.settings import Settings
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


def test_who_is_written_waits_for_few_reads() -> None:
    """Its image is in memory until then: reads that never end would fill that."""
    elevator = Elevator()
    elevator.add(Request(0, 10, 1, write=True))
    done: list[bool] = []
    for n in range(12):
        elevator.add(Request(100 + 20 * n, 10, 2 + n, write=False))
        if n == 6:
            elevator.add(Request(20, 10, 50, write=True))
        (found,) = elevator.next()
        done.append(found.write)
    assert [at for at, write in enumerate(done) if write] == [STARVED, 6 + STARVED]


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
    assert not host.swap._holders


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


def test_children_of_a_process_in_swap_take_no_memory() -> None:
    m = machine(4000, 0)
    client = m.client()
    chat = sleepers(client, 1, 300)[0]
    other = client.run("ask", "y" * 400, params={"max_tokens": 5})
    finish(client, [other])
    host = m.kernel.hosts["fake"]
    before = host.swap.used
    assert before >= 300 * CELL_BYTES
    for _ in range(3):
        client.post("fork", pid=chat, stdin="client")
        m.go(0.1)
    assert host.swap.used == before
    assert len([stream for stream in host.members if stream.image]) == 4
    m.sound()


def test_what_was_swapped_counts_what_images_hold() -> None:
    m = Machine(Options(cells=3000, context=2900, sequences=16), settings=Settings(strict=True, batch=2))
    client = m.client()
    pids = []
    for n in range(4):
        pids.append(client.run("ask", "p" * 800 + chr(97 + n) * 50, params={"max_tokens": 300}))
        m.go(0.6)
        client.post("kill", pid=pids[-1], sig=sig.STOP)
        m.go(0.1)
    finish(client, [client.run("ask", "z" * 2700, params={"max_tokens": 5})])
    host = m.kernel.hosts["fake"]
    meter = host.tuning.meter
    keepers = [keeper for core in host.cores.values() for keeper in core.sharing.keepers]
    held = sum(each.image for each in (*host.members, *keepers))
    assert any(keeper.image >= 800 for keeper in keepers)
    assert (meter.swapped_out, meter.swapped_in) == (held, 0)
    assert host.swap.used == held * CELL_BYTES
    for pid in pids:
        client.post("kill", pid=pid, sig=sig.CONT)
    finish(client, pids)
    assert meter.swapped_in + host.swap.used // CELL_BYTES == meter.swapped_out
