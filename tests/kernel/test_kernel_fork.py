"""A process made of a process: whatever it was at, on the same cells, with descriptors of its own."""

import operator
import random
from functools import partial
from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from llmsh.kernel.sharing import CACHED_MAX
from tests.support.machine import Client, Machine

TEXT = "x" * 1000
OPTIONS = Options(cells=8192, context=4096, answer=200)
BRIEF = {"max_tokens": 80}


def machine(options: Options = OPTIONS) -> Machine:
    return Machine(options, settings=Settings(strict=True))


def finish(client: Client, pids: list[int]) -> None:
    client.machine.clock.run_until(lambda: all(map(client.exited, pids)), 3600)
    client.machine.go(1)
    client.machine.sound()


def fork(client: Client, parent: int, **args: Any) -> int:
    call = client.post("fork", pid=parent, **args)
    client.machine.clock.run_until(lambda: call in client.replies)
    pid: int = client.answer(call)["pid"]
    return pid


def waiting(client: Client) -> int:
    """A chat that has answered a long line, and waits for the next."""
    chat = client.run("talk", "", stdin="client", params={"max_tokens": 20})
    client.machine.clock.run_until(lambda: chat in client.wanted)
    del client.wanted[chat]
    client.post("write", TEXT.encode() + b"\n", pid=chat, fd=0, eof=False)
    client.machine.clock.run_until(lambda: chat in client.wanted)
    return chat


def used(m: Machine) -> int:
    assert m.device.engine is not None
    return m.device.engine.cores[0].cells.used


def test_a_child_says_what_its_parent_has_yet_to_say() -> None:
    m = machine()
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 30)
    child = fork(client, parent)
    said = bytes(client.out[parent])
    finish(client, [parent, child])
    whole, rest = bytes(client.out[parent]), bytes(client.out[child])
    assert whole.endswith(rest)
    assert 0 < len(rest) <= len(whole) - 30
    assert len(said) + len(rest) <= len(whole) + 5
    assert [client.ends[pid]["status"] for pid in (parent, child)] == [0, 0]


def test_sixteen_children_of_a_thousand_tokens_take_no_cells_of_their_own() -> None:
    m = machine()
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 5)
    before, fed = used(m), m.kernel.hosts["fake"].tokens_in
    children = [fork(client, parent) for _ in range(16)]
    rows = [client.row(child) for child in children]
    assert min(row["shared"] for row in rows) >= 1000
    # Whoever has run since has cells for what it made.
    own = sum(row["rss"] - row["shared"] for row in [*rows, client.row(parent)])
    assert used(m) <= before + own + 16
    m.go(0.5)
    assert m.kernel.hosts["fake"].tokens_in - fed <= 2 * 16
    finish(client, [parent, *children])
    assert {len(client.out[child]) for child in children} != {0}


def test_children_with_seeds_of_their_own_part() -> None:
    m = machine()
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 5)
    same = [fork(client, parent) for _ in range(2)]
    other = [fork(client, parent, seed=n) for n in (7, 8)]
    finish(client, [parent, *same, *other])
    texts = [bytes(client.out[pid]) for pid in (*same, *other)]
    assert texts[0].endswith(texts[1]) or texts[1].endswith(texts[0])
    assert len({text[-60:] for text in texts}) == 3


def test_of_a_chat_that_waits_each_goes_its_own_way() -> None:
    m = machine()
    client = m.client()
    chat = waiting(client)
    child = fork(client, chat, stdin="client")
    m.clock.run_until(lambda: child in client.wanted)
    before = m.kernel.hosts["fake"].tokens_in
    client.give(child, b"and you?\n")
    client.give(chat, b"bye\n")
    finish(client, [chat, child])
    assert m.kernel.hosts["fake"].tokens_in - before < 200
    assert client.out[child]


def test_children_of_a_chat_with_seeds_of_their_own_part_in_later_answers() -> None:
    m = machine()
    client = m.client()
    chat = waiting(client)
    children = [fork(client, chat, stdin="client", **seed) for seed in ({}, {}, {"seed": 7}, {"seed": 8})]
    for child in children:
        m.clock.run_until(partial(operator.contains, client.wanted, child))
        client.give(child, b"and you?\n")
    client.give(chat, b"")
    finish(client, [chat, *children])
    texts = [bytes(client.out[child]) for child in children]
    assert texts[0] == texts[1]
    assert len({*texts}) == 3


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.006, 0.02, 0.1, 0.2, 0.3, 0.5])
def test_at_every_moment_a_child_ends_as_its_parent_does(moment: float) -> None:
    for job in (("ask", TEXT), ("sort", "good " * 20), ("each", "one\ntwo\nthree\n"), ("say", "z")):
        m = machine()
        client = m.client()
        parent = client.run(*job, params=BRIEF)
        m.go(moment)
        if client.exited(parent) is not None:
            continue
        child = fork(client, parent)
        finish(client, [parent, child])
        assert (client.ends[child]["status"], client.ends[child]["reason"]) == (0, ""), job
        assert bytes(client.out[parent]).endswith(bytes(client.out.get(child, b""))), job
        assert client.call("check")["cells"] == 0


def test_of_a_stopped_process_the_child_runs() -> None:
    m = machine()
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 5)
    client.post("kill", pid=parent, sig=sig.STOP)
    m.go(1)
    child = fork(client, parent)
    finish(client, [child])
    assert client.exited(parent) is None
    client.post("kill", pid=parent, sig=sig.CONT)
    finish(client, [parent])
    assert bytes(client.out[parent]).endswith(bytes(client.out[child]))


def test_of_a_process_in_swap_the_child_has_the_same_image() -> None:
    m = machine(Options(cells=1400, context=1400, answer=100))
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 5)
    client.post("kill", pid=parent, sig=sig.STOP)
    other = client.run("ask", "y" * 1200, params={"max_tokens": 20})
    finish(client, [other])
    assert client.row(parent)["swap"] > 0
    before = client.row(parent)["tokens_in"]
    child = fork(client, parent)
    assert client.row(child)["swap"] == client.row(parent)["swap"]
    finish(client, [child])
    assert client.row(child)["tokens_in"] <= 2
    client.post("kill", pid=parent, sig=sig.CONT)
    finish(client, [parent])
    assert client.row(parent)["tokens_in"] <= before + 2


def test_an_engine_that_dies_under_a_fork_loses_nothing() -> None:
    m = machine()
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 20)
    calls = [client.post("fork", pid=parent) for _ in range(3)]
    m.device.crash("killed by signal 9")
    m.go(0.1)
    children = [client.answer(call)["pid"] for call in calls]
    finish(client, [parent, *children])
    assert all(bytes(client.out[parent]).endswith(bytes(client.out[child])) for child in children)


def test_who_cannot_be_forked() -> None:
    m = machine()
    client = m.client()
    pid = client.run("say", "z", params={"max_tokens": 3})
    finish(client, [pid])
    for number in (pid, 1, 4242):
        with pytest.raises(Error) as caught:
            client.call("fork", pid=number)
        assert caught.value.code == "ESRCH"


def test_forks_count_as_processes_of_their_parents_session() -> None:
    m = Machine(OPTIONS, settings=Settings(strict=True, nproc=3))
    client, other = m.client(), m.client(pid=200, sid=200)
    parent = client.run("ask", TEXT, params=BRIEF)
    m.go(0.1)
    fork(other, parent)
    fork(other, parent)
    with pytest.raises(Error, match="3 processes"):
        other.call("fork", pid=parent)


def test_a_full_disk_refuses_a_child_and_keeps_nothing_of_it() -> None:
    m = machine()
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 5)
    m.memory.full = True
    with pytest.raises(Error) as caught:
        fork(client, parent)
    assert caught.value.code == "ENOSPC"
    m.memory.full = False
    finish(client, [parent])
    assert client.call("check")["cells"] == 0
    assert not m.kernel.hosts["fake"].members


def test_children_that_wait_hold_nobody_in_the_cells() -> None:
    m = machine()
    client = m.client()
    chat = waiting(client)
    child = fork(client, chat, stdin="client")
    worker = client.run("say", "z" * 40, params={"max_tokens": 3000, "ignore_eos": True})
    m.go(5)
    assert [client.row(pid)["rss"] for pid in (chat, child)] == [0, 0]
    for pid in (chat, child, worker):
        client.post("kill", pid=pid, sig=sig.KILL)
    m.go(1)
    m.sound()


# A signal that comes while the child is still being journaled.


def early(client: Client, parent: int, number: int) -> int:
    """A child of the parent that has had a signal before it was accepted."""
    client.machine.memory.delay(client.machine.clock, 0.01)
    call = client.post("fork", pid=parent, stdin="client")
    assert call not in client.replies
    assert client.call("kill", pid=client.machine.kernel.table.last, sig=number) == {"sent": 1}
    client.machine.clock.run_until(lambda: call in client.replies)
    pid: int = client.answer(call)["pid"]
    return pid


def say(client: Client, pid: int, line: bytes) -> None:
    del client.wanted[pid]
    client.call("write", line, pid=pid, fd=0)


def answering(client: Client) -> int:
    """A chat on a terminal in the middle of its answer."""
    chat = client.run("talk", "", stdin="client", params={"tty": True})
    client.machine.clock.run_until(lambda: chat in client.wanted)
    say(client, chat, TEXT.encode() + b"\n")
    client.machine.clock.run_until(lambda: client.row(chat)["tokens_out"] >= 20)
    return chat


def test_int_before_a_child_is_accepted_ends_the_answer_that_it_was_at_and_no_other() -> None:
    m = machine()
    client = m.client(tty="pts/1")
    parent = answering(client)
    child = early(client, parent, sig.INT)
    m.clock.run_until(lambda: child in client.wanted)
    assert client.row(child)["tokens_out"] - 20 <= 2
    assert client.row(parent)["stat"] == "R"
    before = client.row(child)["tokens_out"]
    say(client, child, b"and now?\n")
    m.clock.run_until(lambda: child in client.wanted)
    assert client.row(child)["tokens_out"] - before > 50
    m.sound()


def test_int_before_a_child_is_accepted_clears_the_line_it_reads() -> None:
    m = machine()
    client = m.client(tty="pts/1")
    parent = answering(client)
    m.clock.run_until(lambda: parent in client.wanted)
    say(client, parent, b"half a li")
    m.clock.run_until(lambda: parent in client.wanted)
    child = early(client, parent, sig.INT)
    m.clock.run_until(lambda: child in client.wanted)
    assert bytes(client.err[child]) == b"\n> "
    m.sound()


def test_stop_and_int_before_a_child_is_accepted_wait_for_cont() -> None:
    m = machine()
    client = m.client(tty="pts/1")
    parent = answering(client)
    m.memory.delay(m.clock, 0.01)
    client.post("fork", pid=parent, stdin="client")
    child = m.kernel.table.last
    for number in (sig.STOP, sig.INT):
        client.call("kill", pid=child, sig=number)
    m.go(1)
    assert (client.row(child)["stat"], child in client.wanted) == ("T", False)
    client.call("kill", pid=child, sig=sig.CONT)
    m.clock.run_until(lambda: child in client.wanted)
    assert client.row(child)["tokens_out"] - 20 <= 2


def test_children_that_end_leave_no_sequence_behind() -> None:
    m = machine(Options(cells=8192, context=4096, answer=200, sequences=8))
    client = m.client()
    parent = client.run("ask", TEXT, params={"max_tokens": 600})
    alone = client.run("ask", TEXT[:-20] + "y" * 20, params={"max_tokens": 600})
    m.clock.run_until(lambda: min(client.row(pid)["tokens_out"] for pid in (parent, alone)) >= 5)
    core = m.kernel.hosts["fake"].cores[0]
    before, fed = (core.cells.seats, len(core.sharing.keepers)), m.kernel.hosts["fake"].tokens_in
    for _ in range(20):
        children = [fork(client, parent) for _ in range(2)]
        m.go(0.02)
        for child in children:
            client.call("kill", pid=child, sig=sig.KILL)
        m.go(0.02)
        m.sound()
        assert (core.cells.seats, len(core.sharing.keepers)) == before
    assert m.kernel.hosts["fake"].tokens_in - fed <= 20 * 3, "somebody computed again what it had"
    finish(client, [parent, alone])
    undisturbed = machine().client()
    same = undisturbed.run("ask", TEXT, params={"max_tokens": 600})
    finish(undisturbed, [same])
    assert client.out[parent] == undisturbed.out[same]


def test_children_of_children_that_end_in_any_order_leave_no_keeper_for_the_sake_of_one(rng: random.Random) -> None:
    m = machine(Options(cells=3000, context=2900, answer=200, sequences=16))
    client = m.client()
    parent = client.run("ask", TEXT, params={"max_tokens": 1500})
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 5)
    core = m.kernel.hosts["fake"].cores[0]
    before = core.cells.seats
    alive = [parent]
    for _ in range(60):
        if len(alive) > 1 and rng.random() < 0.5:
            client.call("kill", pid=alive.pop(rng.randrange(1, len(alive))), sig=sig.KILL)
        elif len(alive) < 6:
            alive.append(fork(client, rng.choice(alive)))
        client.post("kill", pid=rng.choice(alive), sig=rng.choice((sig.STOP, sig.CONT)))
        m.go(rng.random() * 0.2)
        m.sound()
    for child in alive[1:]:
        client.call("kill", pid=child, sig=sig.KILL)
    client.post("kill", pid=parent, sig=sig.CONT)
    m.clock.run_until(lambda: client.row(parent)["rss"] > 0 and not core.cells.going)
    assert core.cells.seats >= before - CACHED_MAX
    m.sound()
    finish(client, [parent])
