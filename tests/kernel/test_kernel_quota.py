"""A limit of cells for a group or a session: its members take turns within it, and nobody else notices."""

from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

OPTIONS = Options(cells=4096, context=2048, answer=60)
LIMIT = 500


def machine(**more: Any) -> Machine:
    return Machine(OPTIONS._replace(**more), settings=Settings(strict=True, batch=16))


def members(client: Client, count: int, size: int, limit: int = LIMIT, **params: Any) -> list[int]:
    """Processes of one group; each has a text of its own."""
    given = {"group_cells": limit, "max_tokens": 40, **params}
    pids = [client.run("ask", "a" * size, params=given)]
    pids += [client.run("ask", chr(97 + n) * size, params=given, pgid=pids[0]) for n in range(1, count)]
    return pids


def finish(client: Client, pids: list[int]) -> None:
    client.machine.clock.run_until(lambda: all(map(client.exited, pids)), 3600)
    client.machine.go(1)
    client.machine.sound()


def most(client: Client, pids: list[int], seconds: float = 60) -> int:
    """The most cells that the group has until all have ended."""
    kernel, high = client.machine.kernel, 0
    while not all(map(client.exited, pids)):
        client.machine.go(0.004)
        client.machine.sound()
        first = kernel.table.find(pids[0])
        quota = kernel.quotas.of("group", first) if first is not None else None
        high = max(high, quota.used if quota is not None else 0)
        seconds -= 0.004
        assert seconds > 0, "they do not finish"
    return high


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("size", [100, 200, 400])
def test_members_take_turns_within_the_limit_and_all_finish(size: int, cores: int) -> None:
    client = machine(cores=cores).client()
    pids = members(client, 6, size)
    high = most(client, pids)
    assert size < high <= LIMIT
    assert {client.ends[pid]["status"] for pid in pids} == {0}
    for n, pid in enumerate(pids):
        assert end_of(client, [pid]) == undisturbed(
            Job("ask", chr(97 + n) * size, None, (("max_tokens", 40),)), OPTIONS
        )


@pytest.mark.parametrize("policy", ["fair", "fcfs", "rr", "mlfq"])
def test_under_every_policy(policy: str) -> None:
    m = machine()
    client = m.client()
    client.call("sched", policy=policy)
    pids = members(client, 5, 300)
    assert most(client, pids) <= LIMIT
    assert {client.ends[pid]["status"] for pid in pids} == {0}


def test_nobody_outside_notices() -> None:
    m = machine()
    client, other = m.client(), m.client(pid=200, sid=200)
    alone = other.run("say", "z" * 900, params={"max_tokens": 600, "ignore_eos": True})
    m.go(0.5)
    pids = members(client, 6, 300)
    m.clock.run_until(lambda: all(map(client.exited, pids)), 3600)
    assert client.row(alone)["swap"] == 0
    assert client.row(alone)["tokens_in"] < 930, "it was computed again"
    assert sum(each.tuning.meter.swapped_out for each in m.kernel.hosts.values()) > 0
    other.call("kill", pid=alone, sig=sig.KILL)


def test_what_members_share_counts_once() -> None:
    m = machine()
    client = m.client()
    given = {"group_cells": LIMIT, "max_tokens": 30}
    pids = [client.run("ask", "same " * 60, params=given)]
    pids += [client.run("ask", "same " * 60, params=given, pgid=pids[0]) for _ in range(3)]
    assert 300 < most(client, pids) <= LIMIT
    assert m.kernel.hosts["fake"].tuning.meter.swapped_out == 0


def test_who_alone_can_never_fit_is_told_the_sizes() -> None:
    m = machine()
    client = m.client()
    pids = members(client, 2, 200)
    large = client.run("ask", "x" * 800, params={"max_tokens": 5}, pgid=pids[0])
    finish(client, [*pids, large])
    assert [client.ends[pid]["status"] for pid in (*pids, large)] == [0, 0, 1]
    assert f"group may have {LIMIT} cells" in client.ends[large]["reason"]
    assert "input of 8" in client.ends[large]["reason"]


def test_an_answer_that_fills_the_limit_ends_like_one_that_fills_the_context() -> None:
    m = machine()
    client = m.client()
    pid = members(client, 1, 300, max_tokens=1000)[0]
    assert most(client, [pid]) == LIMIT
    full = machine(context=LIMIT).client()
    same = full.run("ask", "a" * 300, params={"max_tokens": 1000})
    finish(full, [same])
    assert client.ends[pid]["status"] == full.ends[same]["status"]
    assert client.out[pid] == full.out[same]
    cut = f"ask: answer cut: 318 tokens of input and {LIMIT - 318} of answer"
    assert client.err[pid] == f"{cut}, its group may have {LIMIT} cells: ENOMEM\n".encode()
    assert full.err[same] == f"{cut} fill the context of {LIMIT}\n".encode()


def test_whose_limit_was_full_is_said() -> None:
    m = machine()
    client = m.client()
    pid = members(client, 1, 100, limit=2000, max_tokens=1000)[0]
    m.clock.run_until(lambda: client.row(pid)["tokens_out"] > 3)
    client.call("limit", pid=pid, session=LIMIT)
    finish(client, [pid])
    assert client.ends[pid]["status"] == 1
    assert client.err[pid].endswith(f", its session may have {LIMIT} cells: ENOMEM\n".encode())


def test_a_limit_that_comes_later_ends_only_who_is_too_large_for_it() -> None:
    m = machine()
    client = m.client()
    pids = members(client, 2, 100, limit=2000, max_tokens=100)
    large = client.run("ask", "x" * 700, params={"max_tokens": 200}, pgid=pids[0])
    m.clock.run_until(lambda: client.row(large)["tokens_out"] > 3)
    row = client.call("limit", pid=pids[0], group=LIMIT)
    assert row["group"] == LIMIT
    finish(client, [*pids, large])
    assert [client.ends[pid]["status"] for pid in (*pids, large)] == [0, 0, 1]
    assert "ENOMEM" in client.ends[large]["reason"]


def test_a_limit_that_is_nearly_reached_ends_the_answer_though_a_lease_goes_further() -> None:
    m = machine()
    client = m.client()
    pid = client.run("ask", "x" * 100, params={"max_tokens": 200, "ignore_eos": True})
    m.clock.run_until(lambda: client.row(pid)["tokens_out"] > 3)
    length = client.row(pid)["ctx"]
    client.call("limit", pid=pid, group=length + 1)
    finish(client, [pid])
    assert client.ends[pid]["status"] == 1
    assert client.ends[pid]["reason"].startswith("answer cut")
    assert client.row(pid)["ctx"] <= length + 3
    m.sound()


def test_a_limit_of_the_session_is_everybodys_and_goes_again() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("ask", chr(97 + n) * 300, params={"max_tokens": 400}) for n in range(3)]
    m.go(0.3)
    assert client.call("limit", pid=pids[0], session=1200)["session_used"] > 900
    m.go(0.5)
    assert client.call("limit", pid=pids[1])["session_used"] <= 1200
    for pid in pids:
        client.post("kill", pid=pid, sig=sig.STOP)
    m.go(0.1)
    assert client.call("limit", pid=pids[0], session=800)["session"] == 800
    m.go(0.1)  # nobody asks for anything, and they leave all the same
    assert client.call("limit", pid=pids[1])["session_used"] <= 800
    for pid in pids:
        client.post("kill", pid=pid, sig=sig.CONT)
    assert client.call("limit", pid=pids[1], session=0)["session"] == 0
    finish(client, pids)
    assert {client.ends[pid]["status"] for pid in pids} == {0}


def test_who_sleeps_makes_room_for_who_works() -> None:
    m = machine()
    client = m.client()
    chat = client.run("talk", "", stdin="client", params={"group_cells": LIMIT, "max_tokens": 10})
    m.clock.run_until(lambda: chat in client.wanted)
    del client.wanted[chat]
    client.post("write", b"x" * 300 + b"\n", pid=chat, fd=0, eof=False)
    m.clock.run_until(lambda: chat in client.wanted)
    worker = client.run("ask", "y" * 300, params={"max_tokens": 20}, pgid=chat)
    finish(client, [worker])
    assert client.row(chat)["swap"] > 300
    client.call("kill", pid=chat, sig=sig.KILL)


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.3])
def test_an_engine_that_dies_and_members_that_are_killed_leave_nothing(seconds: float) -> None:
    m = machine(cores=2)
    client = m.client()
    pids = members(client, 6, 200)
    m.go(seconds)
    client.call("kill", pid=pids[5], sig=sig.KILL)
    m.device.crash("killed by signal 9")
    finish(client, pids)
    assert [client.ends[pid]["status"] for pid in pids] == [0, 0, 0, 0, 0, 137]
    for pid in pids:
        client.call("wait", pid=pid)
    assert not m.kernel.quotas._set, "it goes with the last of the group"
    with pytest.raises(Error, match="no such process"):
        client.call("limit", pid=pids[0])


def test_a_fork_that_its_new_group_has_no_room_for_ends_and_leaves_nothing() -> None:
    m = machine()
    client = m.client()
    parent = client.run("ask", "x" * 300)
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] > 0)
    group = client.run("ask", "y", params={"group_cells": 100})
    m.go(0.1)
    child = client.call("fork", pid=parent, pgid=group, stdin="null")["pid"]
    m.go(1)
    assert client.ends[child]["status"] == 1
    assert "its group may have 100 cells" in client.ends[child]["reason"]
    assert b"its group may have 100 cells" in client.err[child]
    client.call("kill", pid=parent, sig=sig.KILL)
    m.go(1)
    m.sound()
    done: list[bool] = []
    m.kernel.shutdown(1.0, lambda: done.append(True))
    m.go(2)
    assert done == [True]


# Who leaves first.


@pytest.mark.parametrize("first", [0, 1])
def test_who_has_the_higher_score_leaves_the_cells_first(first: int) -> None:
    m = machine(cells=1100, context=1000)
    client = m.client()
    chats = []
    for n in range(2):
        chats.append(client.run("talk", "", stdin="client", params={"max_tokens": 1, "oom_score_adj": 100 * n}))
        m.clock.run_until(lambda: chats[-1] in client.wanted)
        m.kernel.hosts["fake"].swap.tax.rent = 0.0  # nobody leaves for being idle
        del client.wanted[chats[-1]]
        client.post("write", bytes([97 + n]) * 400 + b"\n", pid=chats[-1], fd=0, eof=False)
        m.clock.run_until(lambda: chats[-1] in client.wanted)
    if first == 0:
        assert client.call("limit", pid=chats[0], oom=500)["oom"] == 500
    assert [client.row(chat)["oom"] for chat in chats] == [500 * (first == 0), 100]
    asks = client.run("ask", "z" * 600, params={"max_tokens": 1})
    m.clock.run_until(lambda: any(client.row(chat)["swap"] for chat in chats))
    assert [client.row(chat)["swap"] > 0 for chat in chats] == [first == 0, first == 1]
    finish(client, [asks])
    child = client.call("fork", pid=chats[0], stdin="client")["pid"]
    assert client.row(child)["oom"] == client.row(chats[0])["oom"]


@pytest.mark.parametrize(("oom", "leaves"), [(500, [False, True]), (0, [True, False])])
def test_of_a_group_the_higher_score_leaves_before_who_waits(oom: int, leaves: list[bool]) -> None:
    """A chat that waits for a line beside a job that could run; the limit has room for two of three."""
    m = Machine(Options(cells=4000, context=1000), settings=Settings(strict=True, policy="fair", batch=1))
    client = m.client()
    job = client.run("ask", "y" * 250, nice=19, params={"group_cells": 900, "oom_score_adj": oom})
    m.clock.run_until(lambda: client.row(job)["tokens_out"] > 0)
    m.kernel.hosts["fake"].swap.tax.rent = 0.0  # nobody leaves for being idle
    client.run("ask", "z", nice=-20)
    chat = client.run("talk", "", stdin="client", nice=-20, pgid=job, params={"max_tokens": 5})
    m.clock.run_until(lambda: chat in client.wanted)
    client.call("write", b"x" * 250 + b"\n", pid=chat, fd=0)
    m.clock.run_until(lambda: client.row(chat)["tokens_out"] > 0 and client.row(chat)["wchan"] == "input")
    assert all(client.row(pid)["rss"] > 250 for pid in (chat, job))
    client.run("ask", "w" * 400, nice=-20, pgid=job, params={"max_tokens": 20})
    m.clock.run_until(lambda: not all(client.row(pid)["rss"] for pid in (chat, job)), 5)
    assert [not client.row(pid)["rss"] for pid in (chat, job)] == leaves
    m.sound()


@pytest.mark.parametrize("moment", [15, 21, 30])
def test_a_claim_of_the_group_ends_with_the_engine(moment: int) -> None:
    """Who was in the step that killed it is tried first, and must not wait for who may not run meanwhile."""
    m = machine()
    client = m.client()
    pids = members(client, 3, 200)
    for _ in range(moment):
        m.clock.step()
    m.device.crash("killed by signal 6")
    finish(client, pids)


def test_a_limit_too_low_for_labels_that_wait_ends_who_waits_for_their_scores() -> None:
    """Alone it could never have the cells for them."""
    m = machine()
    client = m.client()
    first = client.run("ask", "a" * 200, params={"max_tokens": 400, "ignore_eos": True, "group_cells": 700})
    m.clock.run_until(lambda: m.kernel.table.get(first).tokens_out > 200)
    waits = client.run("sort", "b" * 200, pgid=first)
    stream = m.kernel.table.get(waits).stream
    assert stream is not None
    m.clock.run_until(lambda: bool(stream.labels))
    client.call("limit", pid=first, group=len(stream) + 10)
    m.clock.run_until(lambda: client.exited(waits) is not None, 60)
    assert client.ends[waits]["status"] == 1
    assert "ENOMEM" in client.ends[waits]["reason"]


@pytest.mark.parametrize("policy", ["rr", "fair", "mlfq"])
def test_those_who_wait_for_scores_do_not_push_each_other_out(policy: str) -> None:
    m = Machine(OPTIONS, settings=Settings(strict=True, batch=16, policy=policy, swap_memory=1, swap_file=0))
    client = m.client()
    first = client.run("sort", "a" * 200, params={"group_cells": 300})
    pids = [first, *(client.run("sort", chr(98 + n) * 200, pgid=first) for n in range(3))]
    finish(client, pids)
    assert {client.ends[pid]["status"] for pid in pids} == {0}


def test_an_answer_goes_on_to_its_end_when_the_limit_in_its_way_has_gone() -> None:
    m = machine()
    client = m.client()
    alone = members(client, 1, 100, limit=2000, max_tokens=400)[0]
    cut = members(client, 1, 100, limit=300, max_tokens=400)[0]
    m.clock.run_until(lambda: min(client.row(pid)["tokens_out"] for pid in (alone, cut)) > 3)
    client.call("limit", pid=cut, group=0)
    client.call("limit", pid=alone, group=300)
    client.call("limit", pid=alone, group=2000)
    finish(client, [alone, cut])
    assert [client.ends[pid]["status"] for pid in (alone, cut)] == [0, 0]
    assert not client.err
    assert client.out[alone] == client.out[cut]


def test_a_child_in_a_group_of_its_own_has_the_limit_that_its_parent_has() -> None:
    m = machine()
    client = m.client()
    parent = members(client, 1, 100, limit=300, max_tokens=400)[0]
    m.clock.run_until(lambda: client.row(parent)["tokens_out"] > 3)
    child = client.call("fork", pid=parent, stdin="null")["pid"]
    assert client.call("limit", pid=child)["group"] == 300
    client.call("limit", pid=parent, group=0)
    finish(client, [parent, child])
    assert [client.ends[pid]["status"] for pid in (parent, child)] == [0, 1]
    assert client.err[child].endswith(b"its group may have 300 cells: ENOMEM\n")


def test_who_joins_a_group_leaves_its_limit_as_it_is() -> None:
    m = machine()
    client = m.client()
    first = members(client, 1, 50, limit=400, max_tokens=1000)[0]
    client.call("limit", pid=first, group=LIMIT)
    second = client.run("ask", "b", params={"group_cells": 400, "max_tokens": 5}, pgid=first)
    assert client.call("limit", pid=second)["group"] == LIMIT
    third = client.run("ask", "c", params={"max_tokens": 1000})
    fourth = client.run("ask", "d", params={"group_cells": 400, "max_tokens": 5}, pgid=third)
    assert client.call("limit", pid=fourth)["group"] == 400, "it had none"


def test_a_limit_of_a_session_goes_with_its_last_process() -> None:
    m = machine()
    client = m.client()
    pid = members(client, 1, 50, max_tokens=5)[0]
    client.call("limit", pid=pid, session=LIMIT)
    finish(client, [pid])
    client.call("wait", pid=pid)
    later = client.run("ask", "x", params={"max_tokens": 5})
    assert client.call("limit", pid=later)["session"] == 0


def test_labels_that_do_not_fit_name_the_limit() -> None:
    m = machine()
    client = m.client()
    pid = client.run("sort", "x" * 70, params={"group_cells": 100})
    finish(client, [pid])
    assert client.ends[pid]["status"] == 1
    assert b": labels of " in client.err[pid]
    assert client.err[pid].endswith(b", its group may have 100 cells: ENOMEM\n")
