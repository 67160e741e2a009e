"""Several models on one machine: turns by weight, nobody idle while another has work, the foreground first."""

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

WIDE = Options(cells=400_000, context=100_000, ms=20.0)
SOON = Options(cells=4000, context=2000, ms=10.0)


def made(client: Client, pids: list[int]) -> list[int]:
    return [client.row(pid)["tokens_out"] for pid in pids]


def gained(machine: Machine, client: Client, pids: list[int], seconds: float, warm: float = 1.0) -> list[int]:
    """Tokens that each makes in an interval; its model is loaded by then."""
    machine.go(warm)
    before = made(client, pids)
    machine.go(seconds)
    machine.sound()
    return [after - start for start, after in zip(before, made(client, pids), strict=True)]


def alone(options: Options, seconds: float) -> int:
    machine = Machine(options)
    client = machine.client()
    return gained(machine, client, [client.run("ask", model="fake:a")], seconds)[0]


@pytest.mark.parametrize(("nice", "share"), [(0, 1.0), (5, 3.05), (10, 9.31)])
def test_models_share_the_machine_by_the_nice_of_what_runs_on_them(nice: int, share: float) -> None:
    machine = Machine(WIDE)
    client = machine.client()
    pids = [client.run("ask", model="fake:a"), client.run("ask", model="fake:b", nice=nice)]
    got = gained(machine, client, pids, 40)
    assert got[0] / got[1] == pytest.approx(share, rel=0.05)
    # Together they make what one makes alone: they take turns, and turns leave no gaps.
    assert sum(got) / alone(WIDE, 40) == pytest.approx(0.98, abs=0.03)


def test_weights_of_a_model_add_up() -> None:
    machine = Machine(WIDE._replace(each=20.0))  # as many tokens a second, whoever makes them
    client = machine.client()
    pids = [client.run("ask", model="fake:a") for _ in range(3)] + [client.run("ask", model="fake:b")]
    got = gained(machine, client, pids, 40)
    assert sum(got[:3]) / got[3] == pytest.approx(3, rel=0.05)


def test_sessions_are_equal_on_whichever_models_they_are_and_however_many_processes_they_have() -> None:
    machine = Machine(WIDE._replace(each=20.0))
    one, other = machine.client(pid=1, sid=1), machine.client(pid=2, sid=2)
    pids = [one.run("ask", model="fake:a") for _ in range(40)] + [other.run("ask", model="fake:b")]
    got = gained(machine, one, pids, 40)
    assert sum(got[:40]) / got[40] == pytest.approx(1, rel=0.05)


def test_a_session_does_not_gain_by_one_more_process_on_the_model_of_another() -> None:
    machine = Machine(WIDE._replace(each=20.0))
    one, other = machine.client(pid=1, sid=1), machine.client(pid=2, sid=2)
    pids = [one.run("ask", model="fake:a") for _ in range(8)] + [one.run("ask", model="fake:b")]
    pids.append(other.run("ask", model="fake:b"))
    got = gained(machine, one, pids, 60)
    assert sum(got[:9]) / got[9] == pytest.approx(1, rel=0.1)


def test_a_session_whose_other_model_cannot_run_has_its_share_where_it_can() -> None:
    machine = Machine(WIDE)
    one, other = machine.client(pid=1, sid=1), machine.client(pid=2, sid=2)
    pids = [one.run("ask", model=f"fake:{name}") for name in "ab"] + [other.run("ask", model="fake:c")]
    got = gained(machine, one, pids, 30)
    assert got[0] / got[2] == pytest.approx(0.5, rel=0.1)
    one.post("kill", pid=pids[1], sig=19)
    got = gained(machine, one, pids, 30)
    assert got[0] / got[2] == pytest.approx(1, rel=0.1)


def test_three_models() -> None:
    machine = Machine(WIDE)
    client = machine.client()
    got = gained(machine, client, [client.run("ask", model=f"fake:{n}", nice=5 * n) for n in range(3)], 90)
    assert got[0] / got[1] == pytest.approx(3.05, rel=0.08)
    assert got[1] / got[2] == pytest.approx(3.05, rel=0.08)


def test_engines_never_step_at_the_same_time_while_both_have_work() -> None:
    machine = Machine(WIDE)
    client = machine.client()
    for model in ("fake:a", "fake:b", "fake:c"):
        client.run("ask", model=model)
    machine.go(2)
    for _ in range(3000):
        machine.clock.step()
        assert sum(device.busy for device in machine.devices.values()) <= 1
    assert machine.kernel.dealing.turns > 10


def test_a_model_whose_other_has_nothing_to_do_has_the_whole_machine() -> None:
    machine = Machine(WIDE)
    client = machine.client()
    waits, runs = client.run("each", "", stdin="client", model="fake:b"), client.run("ask", model="fake:a", nice=10)
    assert gained(machine, client, [runs], 20) == [alone(WIDE, 20)]
    assert client.row(waits)["stat"] == "S"
    turns = machine.kernel.dealing.turns
    machine.go(10)
    assert machine.kernel.dealing.turns == turns


def test_who_stops_and_comes_back_has_its_share_from_then_on() -> None:
    machine = Machine(WIDE)
    client = machine.client()
    first, second = client.run("ask", model="fake:a"), client.run("ask", model="fake:b")
    machine.go(2)
    client.post("kill", pid=second, sig=19)
    assert gained(machine, client, [first, second], 20, warm=1) == [alone(WIDE, 20), 0]
    client.post("kill", pid=second, sig=18)
    got = gained(machine, client, [first, second], 20, warm=0)
    assert got[0] / got[1] == pytest.approx(1, rel=0.1)


def test_a_line_typed_to_one_model_comes_before_the_background_of_another() -> None:
    machine = Machine(WIDE)
    back = machine.client()
    others = [back.run("ask", model="fake:b") for _ in range(8)]
    front = machine.client(pid=300, sid=300, tty="pts/1")
    front.peer.fg = True
    machine.go(2)
    front.post("load", model="fake:a")
    machine.go(1)
    before = sum(made(back, others))
    pid = front.run("ask", model="fake:a")
    machine.clock.run_until(lambda: front.row(pid)["tokens_out"] >= 64)
    # What was under way when it came ends; it has the machine for its first 64 tokens.
    assert sum(made(back, others)) - before <= 8 * 2
    got = gained(machine, front, [pid], 30)
    assert got[0] / alone(WIDE, 30) == pytest.approx(8 / 9, rel=0.05)  # 8 times the other session's


@pytest.mark.parametrize("many", [1, 8, 40])
def test_beside_another_model_the_foreground_keeps_its_pace(many: int) -> None:
    machine = Machine(WIDE._replace(ms=10.0), settings=Settings(strict=True, latency_ms=100.0))
    back = machine.client()
    others = [back.run("ask", model="fake:a") for _ in range(many)]
    machine.go(1)
    front = machine.client(pid=300, sid=300, tty="pts/1")
    front.peer.fg = True
    pid = front.run("ask", model="fake:b")
    machine.clock.run_until(lambda: front.row(pid)["tokens_out"] >= 70)
    before, had, longest = sum(made(back, others)), 0, 0.0
    since = machine.clock.now()
    while had < 400:
        machine.clock.step()
        count = front.row(pid)["tokens_out"]
        if count > had:
            longest = max(longest, machine.clock.now() - since) if had else 0.0
            had, since = count, machine.clock.now()
    assert 0.02 < longest <= 0.1
    assert sum(made(back, others)) > before
    machine.sound()


def test_several_in_the_foreground_keep_their_pace_on_their_models_and_the_background_has_its_part() -> None:
    machine = Machine(WIDE._replace(ms=5.0), settings=Settings(strict=True, latency_ms=100.0))
    people = [machine.client(pid=sid, sid=sid, tty=f"pts/{sid}") for sid in range(1, 7)]
    for person in people:
        person.peer.fg = True
    watched = people[0].run("ask", model="fake:a")
    others = [person.run("ask", model="fake:b") for person in people[1:]]
    back = machine.client(pid=300, sid=300).run("ask", model="fake:c")
    machine.go(8)
    had, since, longest = made(people[0], [watched])[0], machine.clock.now(), 0.0
    began, before = had, made(people[0], [back])[0]
    while had < began + 300:
        machine.clock.step()
        count = made(people[0], [watched])[0]
        if count > had:
            longest = max(longest, machine.clock.now() - since)
            had, since = count, machine.clock.now()
    assert longest <= 0.1
    assert made(people[0], [back])[0] > before
    assert all(made(people[0], others))
    machine.sound()


def test_a_model_that_a_foreground_kept_waiting_has_not_saved_that_up() -> None:
    machine = Machine(WIDE, settings=Settings(strict=True, latency_ms=60.0))
    crowd = [machine.client(pid=sid, sid=sid) for sid in range(1, 21)]
    others = [client.run("ask", model="fake:a") for client in crowd]
    front = machine.client(pid=300, sid=300, tty="pts/1")
    front.peer.fg = True
    pid = front.run("ask", model="fake:b")
    machine.go(20)
    front.peer.fg = False
    machine.go(1)
    got = gained(machine, front, [pid], 10, warm=0)[0]
    assert got / alone(WIDE, 10) == pytest.approx(1 / 21, rel=0.3)
    assert all(made(front, others))


def test_nobody_waits_for_a_turn_longer_than_the_bound() -> None:
    machine = Machine(WIDE, settings=Settings(strict=True, starvation_s=10.0))
    client = machine.client()
    pids = [client.run("ask", model="fake:a", nice=-20), client.run("ask", model="fake:b", nice=19)]
    machine.go(1)
    last, longest = made(client, pids)[1], 0.0
    since = machine.clock.now()
    for _ in range(140):
        machine.go(0.25)
        count = made(client, pids)[1]
        if count > last:
            last, since = count, machine.clock.now()
        longest = max(longest, machine.clock.now() - since)
    assert 5 <= longest <= 10


def test_a_crash_of_one_engine_does_not_touch_the_other() -> None:
    machine = Machine(SOON)
    client = machine.client()
    jobs = [Job("say", f"text {n}") for n in range(6)]
    pids = [job.start(client, model=f"fake:{'ab'[n % 2]}") for n, job in enumerate(jobs)]
    machine.go(0.2)
    other = machine.kernel.hosts["fake:b"].incarnation
    machine.devices["fake:a"].crash()
    machine.clock.run_until(lambda: all(client.exited(pid) for started in pids for pid in started))
    machine.sound()
    assert machine.kernel.hosts["fake:a"].incarnation == 2
    assert machine.kernel.hosts["fake:b"].incarnation == other
    assert [end_of(client, started) for started in pids] == [undisturbed(job, SOON) for job in jobs]


def test_whatever_runs_beside_it_every_text_is_that_of_an_undisturbed_run() -> None:
    machine = Machine(SOON)
    client = machine.client()
    jobs = [
        Job("say", "one"),
        Job("each", given=b"a\nb\nc"),
        Job("sort", "good day"),
        Job("say", "e" * 300, None, (("deterministic", True),)),
        Job("say", "source", into=Job("each")),
        Job("say", "x" * 900),
    ]
    pids = [job.start(client, model=f"fake:{n % 3}") for n, job in enumerate(jobs)]
    machine.clock.run_until(lambda: all(client.exited(pid) for started in pids for pid in started))
    machine.go(1)
    machine.sound()
    assert machine.kernel.dealing.turns > 3
    assert [end_of(client, started) for started in pids] == [undisturbed(job, SOON) for job in jobs]


def test_an_engine_that_returns_with_work_waits_for_its_turn() -> None:
    machine = Machine(WIDE._replace(start=300.0))
    client = machine.client()
    for model in ("fake:a", "fake:b"):
        client.run("ask", model=model)
    machine.go(2)
    for _ in range(5):
        machine.devices["fake:a"].crash(reason="killed by signal 9")
        for _ in range(400):
            machine.clock.step()
            assert machine.kernel.dealing.check() == []
            assert sum(device.busy for device in machine.devices.values()) <= 1
    machine.sound()
