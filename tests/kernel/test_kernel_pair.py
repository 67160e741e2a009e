"""The first core and that of exact sequences share a thread: nice, sessions and the foreground hold across both."""

import pytest

from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

WIDE = Options(cells=200_000, context=20_000, ms=10.0)
EXACT = {"deterministic": True}


def machine(**more: object) -> Machine:
    return Machine(WIDE, settings=Settings(strict=True, **more))  # type: ignore[arg-type]  # fields of Settings


def made(client: Client, pids: list[int]) -> list[int]:
    return [client.row(pid)["tokens_out"] for pid in pids]


def gained(m: Machine, client: Client, pids: list[int], seconds: float, warm: float = 2.0) -> list[int]:
    m.go(warm)
    before = made(client, pids)
    m.go(seconds)
    m.sound()
    return [after - start for start, after in zip(before, made(client, pids), strict=True)]


def person(m: Machine) -> Client:
    client = m.client(pid=300, sid=300, tty="pts/1")
    client.peer.fg = True
    return client


@pytest.mark.parametrize(("behind", "before"), [(EXACT, {}), ({}, EXACT)])
def test_who_was_typed_to_has_the_thread_alone(behind: dict[str, bool], before: dict[str, bool]) -> None:
    m = machine()
    back, front = m.client(), person(m)
    other = back.run("ask", "x" * 300, params=behind)
    m.go(3)
    had = made(back, [other])[0]
    pid = front.run("ask", params=before)
    began = m.clock.now()
    m.clock.run_until(lambda: made(front, [pid])[0] >= 60)
    assert m.clock.now() - began < 0.7, "60 steps of 10 ms"
    assert made(back, [other])[0] - had <= 2


@pytest.mark.parametrize("nice", [0, 5, 10, -5])
def test_an_exact_process_has_its_part_of_the_time_by_nice(nice: int) -> None:
    m = machine(batch=1)
    client = m.client()
    pids = [client.run("ask"), client.run("ask", nice=nice, params=EXACT)]
    got = gained(m, client, pids, 60)
    assert got[0] / got[1] == pytest.approx(1.25**nice, rel=0.1)
    assert sum(got) >= 5900, "the thread was never idle"


def test_sessions_are_equal_however_many_processes_they_have() -> None:
    m = machine(batch=1)
    one, other = m.client(pid=1, sid=1), m.client(pid=2, sid=2)
    pids = [one.run("ask", params=EXACT)] + [other.run("ask") for _ in range(10)]
    got = gained(m, one, pids, 40)
    assert sum(got[1:]) / got[0] == pytest.approx(1, rel=0.1)


def test_beside_a_foreground_an_exact_process_has_an_eighth_and_fits_the_target() -> None:
    m = machine(latency_ms=50.0)
    back, front = m.client(), person(m)
    other = back.run("ask", params=EXACT)
    pid = front.run("ask")
    got = gained(m, front, [pid, other], 40)
    assert got[0] / got[1] == pytest.approx(8, rel=0.1)


def test_a_step_that_does_not_fit_the_target_waits_for_the_foreground() -> None:
    m = machine(latency_ms=50.0, starvation_s=10.0)
    back, front = m.client(), person(m)
    back.run("ask", params={"max_tokens": 4})  # so that it is known how long a step takes
    pid = front.run("ask")
    m.clock.run_until(lambda: made(front, [pid])[0] >= 70)
    other = back.run("ask", "x" * 2000, params=EXACT)  # 256 tokens at once are 64 steps' worth
    gaps, had, since, began = [0.0], made(front, [pid])[0], m.clock.now(), m.clock.now()
    while m.clock.now() < began + 7:
        m.clock.step()
        count = made(front, [pid])[0]
        if count > had:
            gaps.append(m.clock.now() - since)
            had, since = count, m.clock.now()
    assert max(gaps) <= 0.05
    m.go(60)
    assert back.row(other)["tokens_in"] > 256, "nobody waits for ever"
    m.sound()


def test_who_waited_goes_on_when_the_other_ends() -> None:
    m = Machine(WIDE._replace(cores=2), settings=Settings(strict=True, latency_ms=15.0, starvation_s=1000.0))
    back, front = m.client(), person(m)
    pid = front.run("ask", params={"max_tokens": 500})  # the first has the first core
    back.run("ask")
    other = back.run("ask", params=EXACT)
    m.go(3)
    assert made(back, [other]) == [0], "two steps of 10 ms do not fit"
    m.clock.run_until(lambda: front.exited(pid) is not None)
    m.go(0.03)
    assert made(back, [other])[0] > 0
    m.sound()


def test_what_waited_says_the_same() -> None:
    m = machine()
    back, front = m.client(), person(m)
    job = Job("say", "e" * 900, None, (("deterministic", True),))
    (pid,) = job.start(back)
    for _ in range(4):
        m.go(0.3)
        front.run("ask", params={"max_tokens": 30})
    m.clock.run_until(lambda: back.exited(pid) is not None)
    m.sound()
    assert end_of(back, [pid]) == undisturbed(job, WIDE)
