"""Who is in the cells: the books of one core, turns when there are not enough, images instead of computing again."""

from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.lease import EXACT
from llmsh.drivers.fakecore import Options
from llmsh.kernel.cells import Cells
from llmsh.kernel.sched import Task
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed


def finish(client: Client, pids: list[int], seconds: float = 3600) -> None:
    client.machine.clock.run_until(lambda: all(map(client.exited, pids)), seconds)
    client.machine.go(1)
    client.machine.sound()


def saves(machine: Machine) -> int:
    """Cells' worth of images now."""
    return sum(stream.image for host in machine.kernel.hosts.values() for stream in host.members)


@pytest.mark.parametrize("policy", ["fair", "fcfs"])
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_twelve_chats_in_2048_cells_all_finish(policy: str, batch: int) -> None:
    """Each needs 621 cells at its end: three fit at a time."""
    options = Options(cells=2048, context=2048)
    machine = Machine(options, settings=Settings(strict=True, policy=policy, batch=batch))
    client = machine.client()
    jobs = [Job("ask", f"{n:02}" * 250, None, (("max_tokens", 100),)) for n in range(12)]
    pids = [job.start(client)[0] for job in jobs]
    finish(client, pids)
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, options) for job in jobs]


def test_nothing_is_computed_twice_by_those_who_take_turns() -> None:
    options = Options(cells=1024, context=1024)
    machine = Machine(options)
    client = machine.client()
    pids = [client.run("ask", f"{n}" * 400, params={"max_tokens": 150}) for n in range(6)]
    finish(client, pids)
    assert {client.row(pid)["tokens_in"] for pid in pids} == {400 + len("<user>\n<assistant>")}
    assert machine.kernel.hosts["fake"].tokens_in == 6 * (400 + len("<user>\n<assistant>"))


def test_four_hundred_processes_and_256_sequences() -> None:
    options = Options(cells=60_000, context=1000, sequences=256)
    machine = Machine(options)
    client = machine.client()
    jobs = [Job("ask", f"{n}", None, (("max_tokens", 20),)) for n in range(400)]
    pids = [job.start(client)[0] for job in jobs]
    finish(client, pids)
    assert all(client.ends[pid]["status"] == 0 for pid in pids)
    assert end_of(client, [pids[399]]) == undisturbed(jobs[399], options)


def test_more_sleepers_than_sequences() -> None:
    """Chats that wait for a line hold their cells until somebody needs the place."""
    machine = Machine(Options(cells=60_000, context=1000, sequences=8))
    client = machine.client()
    chats = [client.run("talk", "", stdin="client", params={"tty": True, "max_tokens": 10}) for _ in range(30)]
    for turn in range(3):
        machine.clock.run_until(lambda: all(chat in client.wanted for chat in chats))
        for chat in chats:
            del client.wanted[chat]
            client.call("write", f"line {turn}\n".encode(), pid=chat, fd=0)
    machine.clock.run_until(lambda: all(chat in client.wanted for chat in chats))
    machine.sound()
    host = machine.kernel.hosts["fake"]
    assert len(host.cores[0].cells.residents) <= 8
    # Nothing of the first turn was computed again in the third.
    texts = {bytes(client.out[chat]) for chat in chats}
    assert len(texts) == 1
    rows = [client.row(chat) for chat in chats]
    assert all(row["tokens_in"] + row["tokens_out"] <= row["ctx"] + 3 for row in rows)


def test_a_huge_context_beside_small_ones_does_not_starve() -> None:
    options = Options(cells=1000, context=1000)
    machine = Machine(options)
    client, other = machine.client(), machine.client(pid=200, sid=200)
    huge = client.run("ask", "x" * 800, params={"max_tokens": 150})
    began = machine.clock.now()
    smalls: list[int] = []
    while client.exited(huge) is None:
        live = [pid for pid in smalls if other.exited(pid) is None]
        smalls += [other.run("ask", "y" * 60, params={"max_tokens": 30}) for _ in range(8 - len(live))]
        machine.go(0.2)
        assert machine.clock.now() - began < 120
    assert client.ends[huge]["status"] == 0
    assert sum(other.exited(pid) is not None for pid in smalls) >= 3
    machine.sound()


def test_small_ones_beside_a_huge_context_do_not_starve() -> None:
    machine = Machine(Options(cells=1000, context=1000))
    client, other = machine.client(), machine.client(pid=200, sid=200)
    client.run("ask", "x" * 700)
    machine.go(1)
    smalls = [other.run("ask", "y" * 60, params={"max_tokens": 30}) for _ in range(8)]
    finish(other, smalls, 120)


def test_a_stopped_process_gives_its_cells_to_who_needs_them_and_goes_on_from_an_image() -> None:
    options = Options(cells=600, context=600)
    machine = Machine(options)
    client = machine.client()
    job = Job("ask", "x" * 400, None, (("max_tokens", 60),))
    held = job.start(client)[0]
    machine.clock.run_until(lambda: client.row(held)["tokens_out"] == 20)
    client.post("kill", pid=held, sig=sig.STOP)
    machine.go(0.1)
    assert client.row(held)["rss"] > 400
    second = client.run("ask", "y" * 400, params={"max_tokens": 60})
    finish(client, [second])
    row = client.row(held)
    assert (row["rss"], row["swap"] > 400, row["stat"]) == (0, True, "T")
    client.post("kill", pid=held, sig=sig.CONT)
    finish(client, [held])
    assert end_of(client, [held]) == undisturbed(job, options)
    assert client.row(held)["tokens_in"] == 400 + len("<user>\n<assistant>")


def test_who_is_killed_in_swap_leaves_nothing() -> None:
    machine = Machine(Options(cells=600, context=600))
    client = machine.client()
    held = client.run("ask", "x" * 400)
    machine.go(0.3)
    client.post("kill", pid=held, sig=sig.STOP)
    second = client.run("ask", "y" * 400, params={"max_tokens": 60})
    finish(client, [second])
    assert saves(machine) > 0
    client.post("kill", pid=held, sig=sig.KILL)
    machine.go(1)
    assert saves(machine) == 0
    assert machine.device.engine is not None
    kept = {keeper.q for keeper in machine.kernel.hosts["fake"].cores[0].sharing.keepers}
    assert set(machine.device.engine.sequences) == kept
    machine.sound()


def test_only_what_can_never_fit_fails_and_says_the_sizes() -> None:
    machine = Machine(Options(cells=300, context=300))
    client = machine.client()
    fits, never = client.run("ask", "x" * 200, params={"max_tokens": 20}), client.run("ask", "y" * 400)
    finish(client, [fits, never])
    assert [client.ends[pid]["status"] for pid in (fits, never)] == [0, 1]
    assert b"400" in client.err[never]
    assert b"300" in client.err[never]


def test_killed_while_it_is_being_saved_or_loaded() -> None:
    for moment in range(0, 400, 7):
        machine = Machine(Options(cells=500, context=500, save=30.0))
        client = machine.client()
        pids = [client.run("ask", f"{n}" * 300, params={"max_tokens": 40}) for n in range(3)]
        for _ in range(moment):
            machine.clock.step()
        client.post("kill", pid=pids[moment % 3], sig=sig.KILL)
        finish(client, pids)
        assert [client.ends[pid]["status"] for pid in pids].count(0) >= 2


def test_deterministic_processes_take_turns_on_a_core_of_their_own() -> None:
    options = Options(cells=900, context=900)
    machine = Machine(options)
    client = machine.client()
    exact = Job("ask", "d" * 600, None, (("deterministic", True), ("max_tokens", 40)))
    shared = Job("ask", "s" * 600, None, (("max_tokens", 40),))
    pids = [job.start(client)[0] for job in (exact, exact, exact, shared)]
    machine.clock.run_until(lambda: client.row(pids[0])["tokens_out"] > 0)
    assert client.row(pids[0])["core"] == EXACT
    finish(client, pids)
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(exact, options)] * 3 + [undisturbed(shared, options)]


# The books of one core.


class Nobody:
    """A client that does not listen."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


def stream(ident: int) -> Stream:
    made = Stream(ident, Task(ident, "s"), exact=False)
    made.client = Nobody()
    return made


def test_cells_are_held_and_given_back() -> None:
    cells, one, two = Cells(100, 8), stream(1), stream(2)
    cells.hold(one, 60)
    cells.hold(two, 30)
    assert (cells.used, cells.free, one.held) == (90, 10, 60)
    assert cells.seats == 6
    cells.hold(one, 20)
    cells.hold(one, 0)
    assert (cells.used, cells.residents) == (30, [two])
    assert cells.check() == []


def test_cells_that_leave_are_used_until_they_have_left() -> None:
    cells, one = Cells(100, 8), stream(1)
    cells.hold(one, 60)
    cells.leave(one, op=5)
    assert (cells.used, cells.leaving, one.held, cells.residents) == (60, 60, 0, [])
    assert cells.free == 40
    cells.left(5)
    cells.left(5)
    assert (cells.used, cells.leaving, cells.free) == (0, 0, 100)
    assert cells.check() == []


def test_a_sequence_is_taken_until_it_has_left() -> None:
    cells, streams = Cells(100, 2), [stream(n) for n in range(2)]
    cells.hold(streams[0], 1)
    cells.hold(streams[1], 1)
    assert cells.seats == 0
    cells.leave(streams[0], op=1)
    assert (cells.seats, cells.going) == (0, 1)
    cells.left(1)
    assert cells.seats == 1


def test_who_was_used_last_is_last() -> None:
    cells, streams = Cells(100, 8), [stream(n) for n in range(3)]
    for each in (*streams, streams[0]):
        cells.hold(each, 5)
    assert cells.residents == [streams[1], streams[2], streams[0]]


def test_check_finds_what_is_wrong() -> None:
    cells, one = Cells(10, 2), stream(1)
    cells.hold(one, 20)
    assert cells.check() == ["20 cells of 10"]
    one.held = 5
    assert cells.check()[0] == "5 cells held and 0 leaving, 20 in the books"
    cells.void()
    assert cells.check() == []


@pytest.mark.parametrize("policy", ["fair", "fcfs", "mlfq"])
@pytest.mark.parametrize("size", [235, 300])
def test_two_who_were_typed_to_take_turns_in_cells_for_one(policy: str, size: int) -> None:
    """Neither takes back the other's lease before a token is made of it, for ever."""
    machine = Machine(Options(cells=500, context=400), settings=Settings(strict=True, policy=policy, batch=16))
    clients = [machine.client(pid=300 + n, sid=300 + n, tty=f"pts/{n}") for n in range(2)]
    pids = []
    for n, client in enumerate(clients):
        client.peer.fg = True
        pids.append(client.run("ask", chr(97 + n) * size, params={"max_tokens": 30}))
    machine.clock.run_until(lambda: all(client.exited(pid) for client, pid in zip(clients, pids, strict=True)), 60)
    machine.go(1)
    machine.sound()


@pytest.mark.parametrize(("chat_oom", "job_oom", "leaves"), [(-500, 500, "job"), (0, 0, "chat"), (500, -500, "chat")])
def test_who_has_the_higher_score_leaves_whether_it_waits_or_could_run(
    chat_oom: int, job_oom: int, leaves: str
) -> None:
    """A job of the least weight beside one of the most, a chat that has just been answered, and then one more that
    needs the room of either. Of equal scores it is the chat's."""
    machine = Machine(Options(cells=950, context=600), settings=Settings(strict=True, policy="fair", batch=1))
    client = machine.client()
    job = client.run("ask", "y" * 250, nice=19, params={"oom_score_adj": job_oom})
    machine.clock.run_until(lambda: client.row(job)["tokens_out"] > 0)
    machine.kernel.hosts["fake"].swap.tax.rent = 0.0  # nobody leaves for being idle
    client.run("ask", "z", nice=-20)
    params = {"tty": True, "max_tokens": 5, "oom_score_adj": chat_oom}
    chat = client.run("talk", "", stdin="client", nice=-20, params=params)
    machine.clock.run_until(lambda: chat in client.wanted)
    client.call("write", b"x" * 250 + b"\n", pid=chat, fd=0)
    machine.clock.run_until(lambda: client.row(chat)["tokens_out"] > 0 and client.row(chat)["wchan"] == "tty")
    assert all(client.row(pid)["rss"] > 250 for pid in (chat, job))
    client.run("ask", "w" * 400, nice=-20, params={"max_tokens": 20})
    machine.clock.run_until(lambda: not all(client.row(pid)["rss"] for pid in (chat, job)), 5)
    assert [name for name, pid in (("chat", chat), ("job", job)) if not client.row(pid)["rss"]] == [leaves]
    machine.sound()


@pytest.mark.parametrize("tty", [True, False])
def test_who_waits_for_a_person_or_a_message_leaves_before_who_waits_for_its_reader(tty: bool) -> None:
    """Also before one that was used less recently: for a person, or for what another program will send."""
    machine = Machine(Options(cells=1250, context=900), settings=Settings(strict=True, pipe_capacity=300))
    client, deaf = machine.client(), machine.client(pid=200, sid=200)
    deaf.reading = False
    full = deaf.run("ask", "y" * 250)
    machine.clock.run_until(lambda: deaf.row(full)["wchan"] == "pipe")
    machine.kernel.hosts["fake"].swap.tax.rent = 0.0  # nobody leaves for being idle
    waits = client.run("talk", "", stdin="client", params={"tty": tty, "max_tokens": 5})
    machine.clock.run_until(lambda: waits in client.wanted)
    client.call("write", b"x" * 250 + b"\n", pid=waits, fd=0)
    machine.clock.run_until(lambda: client.row(waits)["tokens_out"] > 0 and client.row(waits)["stat"] == "S")
    assert all(client.row(pid)["rss"] > 250 for pid in (waits, full))
    client.run("ask", "w" * 400, params={"max_tokens": 20})
    machine.clock.run_until(lambda: not all(client.row(pid)["rss"] for pid in (waits, full)), 5)
    assert [not client.row(pid)["rss"] for pid in (waits, full)] == [True, False]
    machine.sound()
