"""An engine that dies, hangs, refuses or is poisoned: nobody loses, repeats or waits for ever.

The text after a loss is that of an undisturbed run; what a reader got was delivered once.
"""

from functools import partial
from typing import Any

import pytest

from llmsh.abi import lease
from llmsh.abi import signals as sig
from llmsh.drivers.fakecore import Options
from llmsh.kernel.lifecycle import STARTS_MAX
from llmsh.kernel.settings import Settings
from llmsh.kernel.watchdog import LOAD_S
from tests.support.machine import Client, Machine
from tests.support.undisturbed import End, Job, end_of, undisturbed

OPTIONS = Options(cells=500, context=400, answer=12, prefill=1.0)
STOP = (("stop", '["e", "ti"]'),)
WORK = {
    "one": [Job("say", "x" * 60)],
    "three": [Job("say", f"prompt {n}") for n in range(3)],
    "stops": [Job("say", f"s{n}", None, STOP) for n in range(3)],
    "limits": [Job("ask", "l", None, (("max_tokens", n),)) for n in (1, 9, 17)],
    "filter": [Job("each", given=b"a\nb\nc")],
    "chat": [Job("talk", given=b"hello\nyou\n")],
    "labels": [Job("sort", "good day"), Job("say", "beside")],
    "pipeline": [Job("say", "source", into=Job("each"))],
    "exact": [Job("say", "e" * 300, None, (("deterministic", True),)), Job("say", "f" * 40)],
    "crowded": [Job("say", f"{n}" * 200) for n in range(4)],
}
KILLED = "killed by signal 9"


def start(machine: Machine, name: str) -> list[tuple[Client, list[int]]]:
    client = machine.client()
    return [(client, job.start(client)) for job in WORK[name]]


def finish(machine: Machine, started: list[tuple[Client, list[int]]]) -> list[End]:
    machine.clock.run_until(lambda: all(client.exited(pid) for client, pids in started for pid in pids))
    machine.go(1)
    machine.sound()
    host = machine.kernel.hosts["fake"]
    assert host.held == 0
    assert not host.busy
    return [end_of(client, pids) for client, pids in started]


def calm(name: str) -> list[End]:
    return [undisturbed(job, OPTIONS) for job in WORK[name]]


def events(name: str) -> int:
    """Timer calls from the start to the last exit."""
    machine = Machine(OPTIONS)
    started, count = start(machine, name), 0
    while not all(client.exited(pid) for client, pids in started for pid in pids):
        machine.clock.step()
        count += 1
    return count


KEEPS = (None, 0, 1)
"""How many of the messages that the kernel has not read still arrive; None: all."""


def kill_after(name: str, moment: int, keep: int | None) -> None:
    machine = Machine(OPTIONS)
    started = start(machine, name)
    for _ in range(moment):
        machine.clock.step()
    if machine.device.engine is not None:
        machine.device.crash(KILLED, keep)
        assert finish(machine, started) == calm(name), f"killed after {moment} calls, {keep} kept"


@pytest.mark.parametrize("name", WORK)
def test_killed_at_every_moment(name: str) -> None:
    for moment in range(events(name)):
        kill_after(name, moment, KEEPS[moment % 3])


@pytest.mark.soak
@pytest.mark.parametrize("name", WORK)
def test_killed_at_every_moment_in_every_way(name: str) -> None:
    for moment in range(events(name)):
        for keep in range(5):
            kill_after(name, moment, keep)


@pytest.mark.parametrize("name", WORK)
def test_killed_again_and_again(name: str) -> None:
    machine = Machine(OPTIONS)
    started = start(machine, name)
    for _ in range(20):
        machine.go(0.03)
        if machine.device.engine is not None:
            machine.device.crash(KILLED)
    assert finish(machine, started) == calm(name)


@pytest.mark.parametrize("name", WORK)
def test_a_hang_is_found(name: str) -> None:
    machine = Machine(OPTIONS)
    started = start(machine, name)
    machine.clock.run_until(lambda: machine.kernel.hosts["fake"].steps >= 2)
    machine.device.hang()
    machine.go(25)
    assert machine.device.incarnation == 2
    assert finish(machine, started) == calm(name)
    assert any("silent" in line for line in machine.lines())


def test_a_hang_of_the_control_channel_alone_is_found() -> None:
    machine = Machine(OPTIONS)
    started = start(machine, "one")
    machine.clock.run_until(lambda: machine.device.engine is not None)
    machine.device.hang()
    assert finish(machine, started) == calm("one")
    assert machine.device.incarnation == 2


def test_an_idle_engine_is_not_taken_for_one_that_hangs() -> None:
    machine = Machine(OPTIONS)
    finish(machine, start(machine, "three"))
    machine.go(1000)
    assert machine.device.incarnation == 1
    # Nor is one whose only process was stopped, or killed while labels were scored.
    client = machine.client()
    held = client.run("ask")
    machine.go(0.5)
    client.post("kill", pid=held, sig=sig.STOP)
    scoring = client.run("sort")
    process = machine.kernel.table.get(scoring)
    machine.clock.run_until(lambda: process.stream is not None and process.stream.op != 0)
    client.post("kill", pid=scoring, sig=sig.KILL)
    machine.go(1000)
    assert machine.device.incarnation == 1
    assert not machine.kernel.hosts["fake"].busy


def test_an_engine_that_never_finishes_loading_is_given_up_and_says_so() -> None:
    machine = Machine(Options(start=1e9))
    client = machine.client()
    pid = client.run("say")
    machine.clock.run_until(lambda: client.exited(pid) is not None, 4 * LOAD_S)
    assert client.exited(pid)["status"] == 1  # type: ignore[index]  # waited for
    assert sum("silent" in line for line in machine.lines()) == STARTS_MAX


def test_what_is_owed_by_a_step_counts_from_its_lease_whatever_was_asked_before() -> None:
    """A template takes half a minute; a slow step that is begun meanwhile is no hang."""
    machine = Machine(Options(ms=4000.0, control=30_000.0, answer=8))
    client = machine.client()
    first = client.run("say")
    machine.clock.run_until(lambda: client.row(first)["tokens_in"] > 0)
    client.post("kill", pid=first, sig=sig.STOP)
    machine.go(10)
    client.run("say")
    machine.go(14.5)
    client.post("kill", pid=first, sig=sig.CONT)
    machine.go(20)
    assert machine.device.incarnation == 1


def test_a_slow_step_is_not_a_hang() -> None:
    machine = Machine(Options(ms=9000.0, answer=8))
    client = machine.client()
    pid = client.run("say")
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert machine.device.incarnation == 1


@pytest.mark.parametrize("count", [1, 4, 9])
def test_who_kills_the_engine_fails_alone_and_with_one_line(count: int) -> None:
    machine = Machine(OPTIONS)
    client = machine.client()
    jobs = [Job("say", f"number {n}") for n in range(count)]
    pids = [job.start(client)[0] for job in jobs]
    bad = client.run("say", "poison")
    machine.device.poison = b"poison"
    machine.clock.run_until(lambda: all(map(client.exited, [*pids, bad])))
    machine.sound()
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, OPTIONS) for job in jobs]
    end = end_of(client, [bad])
    assert (end.statuses, end.out) == ((1,), b"")
    assert end.err.startswith(b"say: the engine died of it twice")
    assert end.err.count(b"\n") == 1
    assert machine.device.incarnation == 3
    assert sum("died" in line for line in machine.lines()) == 2
    # The engine serves whoever comes next.
    after = client.run("say", "after")
    machine.clock.run_until(lambda: client.exited(after) is not None)
    assert end_of(client, [after]) == undisturbed(Job("say", "after"), OPTIONS)


def test_a_suspect_does_not_wait_for_others_that_wait_for_cells() -> None:
    """After a death by itself, one suspect is stopped meanwhile; the others fill the cache."""
    machine = Machine(Options(cells=300, context=300, sequences=2, answer=40))
    client = machine.client()
    jobs = [Job("say", f"{n}" * 180) for n in range(3)]
    pids = [job.start(client)[0] for job in jobs]
    machine.clock.run_until(lambda: client.row(pids[0])["tokens_out"] > 2)
    machine.device.crash()
    client.post("kill", pid=pids[0], sig=sig.STOP)
    machine.go(1)
    client.post("kill", pid=pids[0], sig=sig.CONT)
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, machine.options) for job in jobs]


def test_dmesg_says_what_happened() -> None:
    machine = Machine(OPTIONS)
    started = start(machine, "one")
    machine.go(0.1)
    machine.device.crash(KILLED)
    finish(machine, started)
    lines = [line for line in machine.lines() if "died" in line]
    assert lines == ["fake: engine 1 died (killed by signal 9); starting the next"]


def test_an_engine_that_never_starts_fails_those_who_wait_for_it() -> None:
    machine = Machine(OPTIONS)
    client = machine.client()
    pid = client.run("say")
    quiet = client.run("say", stdout="log", stderr="log", detach=True)
    for _ in range(STARTS_MAX):
        machine.device.crash("exited with status 1")
        machine.clock.settle()
    machine.go(1)
    assert client.exited(pid)["status"] == 1  # type: ignore[index]  # checked by the index itself
    assert client.err[pid] == b"say: exited with status 1\n"
    assert client.call("wait", pid=quiet)["status"] == 1
    machine.sound()
    # The next run tries anew.
    again = client.run("say")
    machine.clock.run_until(lambda: client.exited(again) is not None)
    assert client.exited(again)["status"] == 0  # type: ignore[index]  # the line before looked


@pytest.mark.parametrize("detach", [False, True])
def test_a_model_that_is_broken_says_why(detach: bool) -> None:
    machine = Machine(Options(start=500))
    client = machine.client()
    load = client.post("load", model="fake")
    where: dict[str, Any] = {"stdout": "log", "stderr": "log", "detach": True} if detach else {}
    pid = client.run("say", **where)
    machine.device.broken = lease.Failed("ENOEXEC", "tensor blk.0 is missing")
    machine.go(2)
    assert client.call("wait", pid=pid)["status"] == 1
    assert client.replies[load][0]["err"] == "ENOEXEC"
    err = machine.memory.texts[pid] if detach else client.err[pid]
    assert err == b"say: tensor blk.0 is missing\n"
    machine.sound()


def test_given_up_between_the_call_and_the_journal() -> None:
    machine = Machine(Options(start=50))
    machine.memory.delay(machine.clock, 0.2)
    client = machine.client()
    call = client.post("run", agent="say", args=["x"], model="fake")
    machine.device.broken = lease.Failed("ENOEXEC", "no")
    machine.go(0.1)
    machine.device.broken = None
    assert machine.kernel.hosts["fake"].failure == "no"
    machine.clock.run_until(lambda: call in client.replies)
    pid = client.answer(call)["pid"]
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert end_of(client, [pid]) == undisturbed(Job("say", "x"), Options(start=50))


def test_unloaded_between_the_call_and_the_journal() -> None:
    machine = Machine(OPTIONS)
    client = machine.client()
    finish(machine, start(machine, "one"))
    machine.memory.delay(machine.clock, 0.2)
    call = client.post("run", agent="say", args=["x"], model="fake")
    client.call("unload", model="fake")
    machine.clock.run_until(lambda: call in client.replies)
    pid = client.answer(call)["pid"]
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert client.exited(pid)["status"] == 0  # type: ignore[index]  # the line before looked
    machine.sound()


def test_unloaded_while_somebody_waits_for_it() -> None:
    machine = Machine(Options(start=500))
    client = machine.client()
    call = client.post("load", model="fake")
    client.call("unload", model="fake")
    assert client.replies[call][0]["err"] == "ENOEXEC"


def test_what_an_older_engine_said_is_dropped_and_counted() -> None:
    machine = Machine(OPTIONS)
    started = start(machine, "one")
    machine.clock.run_until(lambda: machine.kernel.hosts["fake"].steps >= 2)
    host = machine.kernel.hosts["fake"]
    machine.device.crash(KILLED)
    machine.go(0.05)
    dropped = host.dropped
    host.received(1, lease.Step(0, 9, 1.0, [(1, 70, 120, b"!", 1)], [], 5))
    host.died(1, "again")
    assert host.dropped == dropped + 1
    assert finish(machine, started) == calm("one")


def test_records_that_come_too_late_are_dropped_and_counted() -> None:
    machine = Machine(OPTIONS)
    client = machine.client()
    pid = client.run("ask")
    machine.clock.run_until(lambda: client.row(pid)["tokens_out"] == 3)
    host, stream = machine.kernel.hosts["fake"], machine.kernel.table.get(pid).stream
    assert stream is not None
    length = len(stream)
    rows: list[lease.Row] = [
        (stream.q, length + 5, 1, b"!", 1),
        (stream.q, length - 1, 1, b"!", 1),
        (99, 0, 1, b"!", 1),
    ]
    host.received(1, lease.Step(0, 3, 1.0, rows, [], 5))
    host.received(1, lease.Halted(99, 1, 5, lease.LIMIT))
    host.received(1, lease.Done(12345, stream.q))
    assert (len(stream), host.dropped) == (length, 5)


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_deterministic_text_is_the_same_in_any_company_and_after_any_loss(at: int) -> None:
    job = Job("say", "d" * 700, None, (("deterministic", True),))
    options = Options(cells=900, context=900, answer=40)
    machine = Machine(options, settings=Settings(strict=True))
    client = machine.client()
    machine.go(0.01 * at)
    pids = [job.start(client)[0] for _ in range(2)]
    for n in range(at // 7):
        client.run("say", f"company {n}" * 10)
    machine.go(0.05 + 0.013 * at)
    if machine.device.engine is not None:
        machine.device.crash(KILLED)
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    assert {bytes(client.out[pid]) for pid in pids} == {undisturbed(job, options).out}
    machine.sound()


def test_who_is_continued_while_no_engine_is_there_begins_with_the_next() -> None:
    """Stopped when the first engine came, it had not begun."""
    machine = Machine(OPTIONS)
    client = machine.client()
    pid = client.run("say", "hello")
    client.call("kill", pid=pid, sig=sig.STOP)
    host = machine.kernel.hosts["fake"]
    machine.clock.run_until(lambda: host.ready)
    machine.device.crash(KILLED)
    machine.clock.run_until(lambda: not host.ready)
    client.call("kill", pid=pid, sig=sig.CONT)
    machine.clock.run_until(lambda: bool(client.exited(pid)), 60)
    assert end_of(client, [pid]) == undisturbed(Job("say", "hello"), OPTIONS)
    machine.sound()


@pytest.mark.parametrize("batch", [1, 2])
def test_a_person_does_not_hold_back_the_trial_that_holds_back_the_person(batch: int) -> None:
    """Whatever step of both the engine dies in, a minute is never gone by."""
    for moment in range(1, 25):
        machine = Machine(Options(start=500.0), settings=Settings(strict=True, batch=batch, starvation_s=1000.0))
        machine.client().run("ask", "background", params={"max_tokens": 2000})
        machine.go(2)
        person = machine.client(pid=300, sid=300, tty="pts/1")
        person.peer.fg = True
        pid = person.run("ask", "a question", params={"max_tokens": 40})
        for _ in range(moment):
            machine.clock.step()
        machine.device.crash("killed by signal 6")
        machine.clock.run_until(partial(person.exited, pid), 60)
