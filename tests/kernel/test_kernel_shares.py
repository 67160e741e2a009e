"""Who gets how many tokens, in a whole kernel over the fake device: nice, sessions, foreground, patience."""

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.rates import INPUT_COST
from llmsh.kernel.sched import POLICIES
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, undisturbed

WIDE = Options(cells=400_000, context=100_000)


def made(client: Client, pids: list[int]) -> list[int]:
    return [client.row(pid)["tokens_out"] for pid in pids]


def rates(machine: Machine, client: Client, pids: list[int], seconds: float, warm: float = 2.0) -> list[int]:
    """Tokens that each makes in an interval; prefill is over by then."""
    machine.go(warm)
    before = made(client, pids)
    machine.go(seconds)
    machine.sound()
    return [after - start for start, after in zip(before, made(client, pids), strict=True)]


def machine(policy: str = "fair", **more: object) -> Machine:
    return Machine(WIDE, settings=Settings(strict=True, policy=policy, **more))  # type: ignore[arg-type]  # fields of Settings


def test_nice_0_and_nice_10_get_tokens_as_9_3_to_1() -> None:
    m = machine()
    client = m.client()
    got = rates(m, client, [client.run("ask"), client.run("ask", nice=10)], 40)
    assert got[0] / got[1] == pytest.approx(9.313, rel=0.05)


def test_nice_with_many_on_each_side() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("ask", nice=nice) for nice in (0, 10) for _ in range(6)]
    got = rates(m, client, pids, 30)
    assert sum(got[:6]) / sum(got[6:]) == pytest.approx(9.313, rel=0.05)
    for half in (got[:6], got[6:]):
        assert max(half) - min(half) <= 40


def test_equal_processes_get_equal_shares() -> None:
    m = machine()
    client = m.client()
    got = rates(m, client, [client.run("ask") for _ in range(16)], 8)
    assert max(got) - min(got) <= 20


@pytest.mark.parametrize("many", [4, 40])
def test_one_process_against_many_of_another_session_get_one_to_one(many: int) -> None:
    m = machine()
    one, other = m.client(), m.client(pid=200, sid=200)
    alone = one.run("ask")
    crowd = [other.run("ask") for _ in range(many)]
    got = rates(m, one, [alone, *crowd], 15, warm=10)
    assert got[0] / sum(got[1:]) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("policy", ["fair", "mlfq"])
@pytest.mark.parametrize("size", [8, 30, 100])
def test_to_begin_a_session_for_each_answer_earns_nothing(policy: str, size: int) -> None:
    m = machine(policy, batch=4)
    flood = m.client(pid=200, sid=200)
    pids = [flood.run("ask") for _ in range(8)]
    m.go(1)
    before, until, got, sid = sum(made(flood, pids)), m.clock.now() + 20, 0, 1000
    while m.clock.now() < until:
        sid += 1
        client = m.client(pid=sid, sid=sid)
        pid = client.run("ask", params={"max_tokens": size})
        m.clock.run_until(lambda who=client, what=pid: who.exited(what) is not None)  # type: ignore[misc]  # bound at once
        got += size
    assert got <= sum(made(flood, pids)) - before


def test_one_against_forty_when_there_is_no_room_for_all() -> None:
    """4,096 cells: most of the forty are in swap at any time."""
    m = Machine(Options(cells=4096, context=4096))
    one, other = m.client(), m.client(pid=200, sid=200)
    alone = one.run("ask")
    crowd = [other.run("ask", "x" * 80) for _ in range(40)]
    got = rates(m, one, [alone, *crowd], 12, warm=8)
    assert got[0] / sum(got[1:]) == pytest.approx(1, rel=0.1)


def test_a_nice_value_changed_while_running_counts_from_then_on() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("ask"), client.run("ask")]
    got = rates(m, client, pids, 10)
    assert got[0] / got[1] == pytest.approx(1, rel=0.05)
    client.call("renice", pid=pids[1], nice=10)
    got = rates(m, client, pids, 40)
    assert got[0] / got[1] == pytest.approx(9.313, rel=0.05)
    assert client.call("renice", pid=pids[1], nice=-10, relative=True) == {"nice": 0}
    got = rates(m, client, pids, 10)
    assert got[0] / got[1] == pytest.approx(1, rel=0.05)


def test_nice_is_clamped_as_setpriority_does() -> None:
    m = machine()
    client = m.client()
    pid = client.run("ask")
    assert client.call("renice", pid=pid, nice=40) == {"nice": 19}
    assert client.call("renice", pid=pid, nice=-40, relative=True) == {"nice": -20}


@pytest.mark.parametrize("seats", [1, 4])
def test_who_is_killed_pays_for_the_tokens_that_were_made_and_no_more(seats: int) -> None:
    """A session that kills each of its processes after a token or two, as `| head -1` does."""
    m = machine(batch=seats)
    one, other = m.client(), m.client(pid=200, sid=200)
    pids = [client.run("ask") for client in (one, other) for _ in range(seats)]
    m.go(1)
    before = made(one, pids)
    killed = 0.0
    for _ in range(100):
        pid = one.run("ask")
        m.clock.run_until(lambda pid=pid: one.row(pid)["tokens_out"] > 0)  # type: ignore[misc]  # mypy knows no such lambda
        killed += one.row(pid)["tokens_out"] + INPUT_COST * one.row(pid)["tokens_in"]
        one.call("kill", pid=pid, sig=9)
        m.go(0.01)
    got = [after - start for after, start in zip(made(one, pids), before, strict=True)]
    mine, theirs = sum(got[:seats]) + killed, sum(got[seats:])
    assert mine / theirs == pytest.approx(1, rel=0.1)
    m.sound()


@pytest.mark.parametrize("end", ["kill", "crash"])
def test_what_a_lease_that_ends_with_its_process_or_engine_did_not_use_is_given_back(end: str) -> None:
    m = machine(batch=2)
    client = m.client()
    pids = [client.run("ask"), client.run("ask")]
    m.go(0.2)
    host = m.kernel.hosts["fake"]
    ledger = host.ledger
    (session,) = ledger.granted.accounts
    assert ledger.granted[session] > ledger.used[session]
    if end == "crash":
        m.device.crash("killed by signal 9")
        m.clock.run_until(lambda: not any(core.leased for core in host.cores.values()))
    else:
        for pid in pids:
            client.post("kill", pid=pid, sig=9)
    assert ledger.granted[session] == ledger.used[session]


def test_nobody_is_idle_while_somebody_is_runnable() -> None:
    """Steps follow each other without a gap: the renewal is there before the lease ends."""
    m = machine()
    client = m.client()
    for _ in range(3):
        client.run("ask")
    m.go(1)
    host = m.kernel.hosts["fake"]
    before = host.steps
    m.go(10)
    # A step with three sequences takes 6 ms.
    assert (host.steps - before) * 0.006 >= 9.9


def test_the_foreground_comes_first_and_then_weighs_eight_times() -> None:
    m = machine()
    client = m.client()
    back = [client.run("ask") for _ in range(8)]
    m.go(1)
    front = m.client(pid=300, sid=300, tty="pts/1")
    front.peer.fg = True
    before = made(client, back)
    pid = front.run("ask")
    m.clock.run_until(lambda: front.row(pid)["tokens_out"] >= 64)
    # While it makes its first 64 tokens the others make what was under way.
    assert sum(made(client, back)) - sum(before) <= 8 * 3
    got = rates(m, client, [pid, *back], 25)
    assert got[0] / sum(got[1:]) == pytest.approx(8, rel=0.05)


def test_a_line_typed_is_a_boost_again() -> None:
    m = machine()
    back = m.client()
    pids = [back.run("ask") for _ in range(8)]
    front = m.client(tty="pts/1", pid=300, sid=300)
    front.peer.fg = True
    chat = front.run("talk", "", stdin="client", params={"tty": True, "max_tokens": 30})
    m.clock.run_until(lambda: chat in front.wanted)
    m.go(5)
    for turn in range(3):
        before = sum(made(back, pids))
        del front.wanted[chat]
        front.call("write", f"line {turn}\n".encode(), pid=chat, fd=0)
        m.clock.run_until(lambda: chat in front.wanted)
        assert sum(made(back, pids)) - before <= 8 * 3 * 3
        m.go(5)


def test_into_the_background_the_boost_is_lost() -> None:
    m = machine()
    back = m.client()
    others = [back.run("ask") for _ in range(2)]
    front = m.client(tty="pts/1", pid=300, sid=300)
    front.peer.fg = True
    pid = front.run("ask")
    m.go(0.1)
    assert front.row(pid)["stat"] == "R+"
    front.peer.fg = False
    m.go(1)
    assert front.row(pid)["stat"] == "R"
    got = rates(m, back, [pid, *others], 30)
    assert got[0] / sum(got[1:]) == pytest.approx(1, rel=0.1)


def test_the_call_foreground_moves_a_group_in_and_out() -> None:
    m = machine()
    client, stands = m.client(pid=300, sid=300, tty="pts/1"), m.client(pid=301, sid=300, tty="pts/1")
    stands.peer.fg = True
    pid, other = client.run("ask"), client.run("ask")
    m.go(0.1)
    stands.call("foreground", pgid=pid)
    assert client.row(pid)["stat"] == "R+"
    got = rates(m, client, [pid, other], 30)
    assert got[0] / got[1] == pytest.approx(8, rel=0.05)
    stands.call("foreground", pgid=pid, on=False)
    assert client.row(pid)["stat"] == "R"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("front", [False, True])
def test_nobody_waits_for_a_token_longer_than_the_bound(policy: str, front: bool) -> None:
    """Forty processes of all nice values; a terminal has one of the two seats, and shares none by its pace."""
    made_ = Settings(strict=True, policy=policy, batch=2, starvation_s=20.0, latency_ms=30.0)
    m = Machine(WIDE._replace(ms=40.0), settings=made_)
    client = m.client()
    pids = [client.run("ask", nice=n - 20) for n in range(40)]
    if front:
        person = m.client(pid=300, sid=300, tty="pts/1")
        person.peer.fg = True
        pids.append(person.run("ask"))
    last = dict.fromkeys(pids, m.clock.now())
    count = dict.fromkeys(pids, 0)
    longest = 0.0
    for _ in range(160):
        m.go(0.5)
        for pid in pids:
            now = m.kernel.table.get(pid).tokens_out
            if now > count[pid]:
                count[pid], last[pid] = now, m.clock.now()
            longest = max(longest, m.clock.now() - last[pid])
    assert longest <= 20
    assert longest >= 12  # the bound was needed


def test_fcfs_serves_in_order_of_arrival() -> None:
    m = machine("fcfs", batch=2)
    client = m.client()
    pids = [client.run("ask", f"{n}", nice=-n, params={"max_tokens": 50}) for n in range(6)]
    m.clock.run_until(lambda: all(map(client.exited, pids)))
    order = [event["pid"] for event in client.events if event["ev"] == "exit"]
    assert order == pids
    assert client.call("sched")["policy"] == "fcfs"


def test_fcfs_lets_those_behind_run_while_the_first_is_blocked() -> None:
    m = machine("fcfs", batch=1, pipe_capacity=256)
    slow, quick = m.client(), m.client(pid=200, sid=200)
    slow.reading = False
    first = slow.run("ask")
    second = quick.run("say")
    m.clock.run_until(lambda: quick.exited(second) is not None)
    assert slow.row(first)["wchan"] == "pipe"


def test_a_switch_of_policy_leaves_everybody_running_and_all_text_right() -> None:
    m = machine()
    client = m.client()
    jobs = [Job("say", f"job {n}") for n in range(6)]
    pids = [job.start(client)[0] for job in jobs]
    for n in range(20):
        m.go(0.02)
        assert client.call("sched", policy=tuple(POLICIES)[n % len(POLICIES)])["policies"] == list(POLICIES)
        m.sound()
    m.clock.run_until(lambda: all(map(client.exited, pids)))
    assert [bytes(client.out[pid]) for pid in pids] == [undisturbed(job, WIDE).out for job in jobs]


def test_after_a_switch_who_slept_is_not_behind_by_what_it_had_before() -> None:
    m = machine(starvation_s=1e6)
    client = m.client()
    sleeper, worker = client.run("ask"), client.run("ask")
    m.go(60)
    client.post("kill", pid=sleeper, sig=19)
    m.go(1)
    client.call("sched", policy="fcfs")
    client.call("sched", policy="fair")
    client.post("kill", pid=sleeper, sig=18)
    got = rates(m, client, [sleeper, worker], 20, warm=0.5)
    assert got[0] / got[1] == pytest.approx(1, rel=0.1)


def test_a_prompt_of_thousands_of_tokens_does_not_hold_up_who_generates() -> None:
    """Prefill is cut in chunks: a step is at most 150 ms while anybody else is runnable."""
    m = Machine(Options(cells=20_000, context=10_000, prefill=1.0))
    client = m.client()
    runner = client.run("ask")
    m.go(1)
    before = made(client, [runner])[0]
    long = client.run("ask", "x" * 4000)
    m.clock.run_until(lambda: client.row(long)["tokens_in"] >= 4000)
    assert made(client, [runner])[0] - before >= 4000 / 150
    m.sound()


def test_who_comes_first_in_a_new_session_pays_for_it_as_others_do() -> None:
    """A person's first tokens are before all others; whoever asks in a terminal of his own each time had them free."""
    m = machine("fair")
    other, new = m.client(), m.client(pid=200, sid=200, tty="pts/1")
    new.peer.fg = True
    other.run("say", "o" * 50, params={"max_tokens": 4000, "ignore_eos": True})
    m.go(2)
    pid = new.run("ask", "x" * 4000, params={"max_tokens": 5})
    m.clock.run_until(lambda: new.exited(pid) is not None)
    granted = m.kernel.hosts["fake"].ledger.granted
    # Behind the least there is, and an eighth of what a process in the background pays.
    assert granted["200"] >= 4000 * INPUT_COST / 8
    m.sound()


def test_the_policy_that_is_in_use_already_forgets_nothing() -> None:
    m = machine("mlfq")
    client = m.client()
    pid = client.run("say", "o" * 50, params={"max_tokens": 4000, "ignore_eos": True})
    m.go(2)
    host = m.kernel.hosts["fake"]
    task = m.kernel.table.get(pid).stream.task  # type: ignore[union-attr]  # it runs
    before = (host.ledger, host.ledger.granted[task.group], task.sunk, task.vtime)
    assert min(before[1:]) > 0
    client.call("sched", policy="mlfq")
    assert (host.ledger, host.ledger.granted[task.group], task.sunk, task.vtime) == before
    client.call("sched", policy="fair")
    assert host.ledger is not before[0]
