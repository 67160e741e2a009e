"""Ends: statuses, wait, zombies, who reaps them, and what is still known of them later."""

from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.abi.limits import INIT, STATUSES_KEPT
from llmsh.drivers.fakecore import Options
from tests.support.machine import Client, Machine

QUICK = Options(answer=3, cells=20_000, context=2000)


def ended(client: Client, *pids: int) -> None:
    client.machine.clock.run_until(lambda: all(map(client.exited, pids)))


def test_wait_answers_at_the_end_and_reaps() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pid = client.run("say")
    call = client.post("wait", pid=pid)
    assert call not in client.replies
    ended(client, pid)
    assert client.answer(call) == {"pid": pid, "status": 0, "signal": 0, "reason": ""}
    assert machine.kernel.table.find(pid) is None
    assert machine.kernel.callers[client].pids == set()


def test_a_status_is_told_only_once_it_is_on_disk() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pid = client.run("say")
    machine.memory.delay(machine.clock, 5)
    before, after = client.post("wait", pid=pid), 0
    machine.clock.run_until(lambda: bool(machine.memory.ends))
    after = client.post("wait", pid=pid)
    machine.go(4)
    assert not {before, after} & set(client.replies)
    assert client.exited(pid) is None
    machine.go(2)
    assert client.answer(before) == client.answer(after) == {"pid": pid, "status": 0, "signal": 0, "reason": ""}
    assert client.exited(pid) is not None
    machine.sound()


def test_a_zombie_stays_until_it_is_waited_for() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pid = client.run("say")
    ended(client, pid)
    machine.go(1000)
    row = client.row(pid)
    assert (row["stat"], row["status"], row["rss"]) == ("Z", 0, 0)
    assert client.call("wait", pid=pid)["status"] == 0
    with pytest.raises(IndexError):
        client.row(pid)
    # Its status is known as long as it is kept.
    assert client.call("wait", pid=pid)["status"] == 0


def test_wait_for_one_whose_output_is_still_on_its_way() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    client.reading = False
    pid = client.run("say")
    machine.go(1)
    assert client.call("wait", pid=pid)["status"] == 0
    assert client.exited(pid) is None
    assert client.row(pid)["stat"] == "Z"
    client.read(pid)
    assert client.exited(pid) is not None
    assert machine.kernel.table.find(pid) is None


def test_wait_for_any_child_gives_each_once() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pids = [client.run("say", f"{n}") for n in range(20)]
    seen = []
    for _ in pids:
        call = client.post("wait", pid=-1)
        machine.clock.run_until(lambda call=call: call in client.replies)  # type: ignore[misc]  # binds the loop variable
        seen.append(client.answer(call)["pid"])
    assert sorted(seen) == pids
    with pytest.raises(Error) as caught:
        client.call("wait", pid=-1)
    assert caught.value.code == "ECHILD"
    machine.go(1)
    assert len(machine.kernel.table) == 0


def test_several_may_wait_for_one() -> None:
    machine = Machine(QUICK)
    clients = [machine.client(pid=pid) for pid in (100, 200, 300)]
    pid = clients[0].run("say")
    calls = [client.post("wait", pid=pid) for client in clients]
    ended(clients[0], pid)
    assert [client.answer(call)["status"] for client, call in zip(clients, calls, strict=True)] == [0, 0, 0]


def test_who_only_looks_does_not_reap() -> None:
    machine = Machine(QUICK)
    client, other = machine.client(), machine.client(pid=200, sid=200)
    pid = client.run("say")
    ended(client, pid)
    assert other.call("wait", pid=pid)["status"] == 0
    assert client.row(pid)["stat"] == "Z"


def test_nohang_and_a_time_limit() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pid = client.run("ask")
    for any_or_one in (pid, -1):
        with pytest.raises(Error) as caught:
            client.call("wait", pid=any_or_one, nohang=True)
        assert caught.value.code == "EAGAIN"
    call = client.post("wait", pid=pid, timeout_ms=500)
    machine.go(0.49)
    assert call not in client.replies
    machine.go(0.02)
    assert client.replies[call][0]["err"] == "ETIMEDOUT"
    client.post("kill", pid=pid, sig=sig.KILL)
    assert client.call("wait", pid=pid, timeout_ms=0)["status"] == 137


def test_polling_leaves_nothing_behind() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pid = client.run("ask", params={"max_tokens": 1000})
    for _ in range(300):
        client.post("wait", pid=pid, timeout_ms=1)
        client.post("wait", pid=-1, timeout_ms=1)
        machine.go(0.002)
    assert len(machine.kernel.table.get(pid).waiters) <= 2


@pytest.mark.parametrize("pid", [INIT, 99, 1 << 40])
def test_who_never_was(pid: int) -> None:
    with pytest.raises(Error) as caught:
        Machine().client().call("wait", pid=pid)
    assert caught.value.code == "ECHILD"


def test_the_last_thousand_statuses_are_kept_for_any_shell() -> None:
    machine = Machine(QUICK)
    pids = []
    for n in range(STATUSES_KEPT + 20):
        client = machine.client()
        pid = client.run("say", f"{n}")
        client.post("kill", pid=pid, sig=sig.TERM if n % 2 else sig.KILL)
        client.close()
        pids.append(pid)
    machine.go(1)
    later = machine.client(pid=999, sid=999)
    for pid in pids[:20]:
        with pytest.raises(Error):
            later.call("wait", pid=pid)
    assert [later.call("wait", pid=pid)["status"] for pid in pids[20:]] == [137, 143] * (STATUSES_KEPT // 2)
    assert len(machine.kernel.table) == 0
    machine.sound()


def test_statuses_of_the_last_daemon_are_known() -> None:
    machine = Machine()
    kept = {"pid": 4_200_000, "status": 3, "signal": 0, "reason": ""}
    machine.kernel.statuses.add(kept)
    assert machine.client().call("wait", pid=4_200_000) == kept


def forked(client: Client, parent: int, **args: Any) -> int:
    call = client.post("fork", pid=parent, **args)
    client.machine.clock.run_until(lambda: call in client.replies)
    child: int = client.answer(call)["pid"]
    return child


@pytest.mark.parametrize("first", ["parent", "child"])
def test_a_child_is_there_to_be_waited_for_whoever_of_the_two_ends_first(first: str) -> None:
    machine = Machine(Options(answer=10_000))
    client = machine.client()
    parent = client.run("ask")
    child = forked(client, parent)
    assert client.row(child)["ppid"] == parent
    for pid in (parent, child) if first == "parent" else (child, parent):
        client.call("kill", pid=pid, sig=sig.KILL)
        machine.go(1)
    row = client.row(child)
    assert (row["ppid"], row["stat"]) == (client.peer.pid, "Z")
    assert sorted(client.call("wait", pid=-1)["pid"] for _ in range(2)) == [parent, child]
    with pytest.raises(Error, match="no child"):
        client.call("wait", pid=-1)
    assert len(machine.kernel.table) == 0
    machine.sound()


def test_a_child_whose_parent_ends_before_it_is_accepted_is_its_clients() -> None:
    machine = Machine(Options(answer=10_000))
    client = machine.client()
    parent = client.run("ask")
    machine.memory.delay(machine.clock, 0.1)
    client.post("fork", pid=parent)
    child = machine.kernel.table.last
    client.post("kill", pid=parent, sig=sig.KILL)
    machine.go(1)
    assert client.row(child)["ppid"] == client.peer.pid
    client.post("kill", pid=child, sig=sig.KILL)
    machine.go(1)
    assert sorted(client.call("wait", pid=-1)["pid"] for _ in range(2)) == [parent, child]


def test_init_has_what_nobody_can_wait_for() -> None:
    machine = Machine(Options(answer=10_000))
    client, other = machine.client(), machine.client(pid=200)
    parent = client.run("ask", detach=True, stdout="log", stderr="log")
    child = forked(other, parent)
    detached = forked(client, child, detach=True, stdout="log", stderr="log")
    other.close()
    machine.go(1)
    assert [row["pid"] for row in client.call("ps")["rows"]] == [INIT, parent, detached]
    assert [client.row(pid)["ppid"] for pid in (parent, detached)] == [INIT, INIT]
    for pid in (parent, detached):
        client.post("kill", pid=pid, sig=sig.KILL)
    machine.go(1)
    assert len(machine.kernel.table) == 0
    machine.sound()


def test_two_that_wait_for_any_have_a_child_each() -> None:
    machine = Machine(Options(answer=10_000))
    client = machine.client()
    pids = [client.run("ask") for _ in range(2)]
    calls = [client.post("wait", pid=-1) for _ in range(3)]
    for pid in pids:
        client.post("kill", pid=pid, sig=sig.KILL)
        machine.go(1)
    assert [client.answer(call)["pid"] for call in calls[:2]] == pids
    assert client.replies[calls[2]][0]["err"] == "ECHILD"
    machine.sound()


def test_init_adopts_and_reaps_what_a_client_leaves() -> None:
    machine = Machine(QUICK)
    client, other = machine.client(), machine.client(pid=200)
    done, running = client.run("say"), client.run("ask")
    detached = client.run("ask", detach=True, stdout="log", stderr="log")
    ended(client, done)
    assert client.row(running)["ppid"] == 100
    client.close()
    machine.go(1)
    assert machine.kernel.table.find(done) is None
    assert machine.kernel.table.find(running) is None
    assert other.call("wait", pid=running) == {"pid": running, "status": 129, "signal": 1, "reason": ""}
    assert other.row(detached)["ppid"] == INIT
    other.post("kill", pid=detached, sig=sig.KILL)
    machine.go(1)
    assert machine.kernel.table.find(detached) is None
    machine.sound()


def test_pids_rise_above_the_machines_and_are_not_used_twice() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pids = []
    for _ in range(50):
        pids.append(client.run("say"))
        client.post("kill", pid=pids[-1], sig=sig.KILL)
        client.post("wait", pid=pids[-1])
    assert pids == sorted(set(pids))
    assert pids[0] > 1 << 22


def test_every_end_is_journaled_once() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pids = [client.run("say", f"{n}") for n in range(10)]
    client.post("kill", pid=pids[3], sig=sig.KILL)
    client.post("kill", pid=pids[3], sig=sig.TERM)
    ended(client, *pids)
    assert sorted(end["pid"] for end in machine.memory.ends) == pids
    assert {end["status"] for end in machine.memory.ends} == {0, 137}


def test_the_journal_has_every_token_of_the_log() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    pid = client.run("talk", "", stdin="client", params={"tty": True})
    for line in (b"first\n", b"second\n", b"third\n"):
        machine.clock.run_until(lambda: pid in client.wanted)
        client.wanted.clear()
        client.call("write", line, pid=pid, fd=0)
    machine.clock.run_until(lambda: pid in client.wanted)
    stream = machine.kernel.table.get(pid).stream
    assert stream is not None
    assert machine.memory.logged[pid] == stream.log.tolist()


# Accepted means journaled.


def test_a_process_is_accepted_when_the_journal_has_it() -> None:
    machine = Machine(QUICK)
    machine.memory.delay(machine.clock, 0.5)
    client = machine.client()
    call = client.post("run", agent="say", args=["x"], model="fake")
    machine.go(0.4)
    assert call not in client.replies
    machine.go(0.2)
    assert client.answer(call)["pid"] == machine.memory.records[0]["pid"]


def test_a_full_disk_refuses_without_a_trace() -> None:
    machine = Machine(QUICK)
    client = machine.client()
    running = client.run("ask")
    machine.memory.full = True
    with pytest.raises(Error) as caught:
        client.run("say")
    assert caught.value.code == "ENOSPC"
    assert [row["pid"] for row in client.call("ps")["rows"]] == [INIT, running]
    client.call("kill", pid=running, sig=sig.STOP)
    machine.go(0.1)
    client.call("kill", pid=running, sig=sig.KILL)
    machine.memory.full = False
    after = client.run("say")
    ended(client, after)
    machine.sound()


def test_who_waits_for_one_that_is_refused_hears_of_it() -> None:
    machine = Machine(QUICK)
    machine.memory.delay(machine.clock, 0.1)
    client = machine.client()
    machine.memory.full = True
    run = client.post("run", agent="say", args=["x"], model="fake")
    wait = client.post("wait", pid=machine.kernel.table.last)
    machine.go(1)
    assert [client.replies[call][0]["err"] for call in (run, wait)] == ["ENOSPC", "ECHILD"]


def test_a_client_that_goes_before_its_process_is_accepted() -> None:
    machine = Machine(QUICK)
    machine.memory.delay(machine.clock, 0.1)
    client, other = machine.client(), machine.client(pid=200)
    client.post("run", agent="say", args=["x"], model="fake")
    pid = machine.kernel.table.last
    client.close()
    machine.go(1)
    assert len(machine.kernel.table) == 0
    assert other.call("wait", pid=pid)["status"] == 129
    machine.sound()
