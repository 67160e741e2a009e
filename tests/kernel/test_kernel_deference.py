"""A session with few processes beside a flood of another: what it gets, and how soon, over several cores."""

from llmsh.drivers.fakecore import Options
from llmsh.kernel.sched.ledger import CREDIT, KEPT, Counters
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine

FLOOD = 40
TWO = Options(cells=400_000, context=100_000, cores=2, ms=10.0, each=5.0, answer=60)
ONE = TWO._replace(cores=1)


def seconds(machine: Machine, client: Client) -> float:
    """How long one short question takes."""
    began = machine.clock.now()
    pid = client.run("say", "a question", params={"max_tokens": 16, "ignore_eos": True})
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    return machine.clock.now() - began


def counts(client: Client, pid: int) -> tuple[int, int]:
    """Tokens of one process, and of all others."""
    rows = client.call("ps")["rows"]
    made = {row["pid"]: row["tokens_out"] for row in rows}
    return made[pid], sum(made.values()) - made[pid]


def flood(machine: Machine) -> tuple[Client, Client]:
    """One client, and another that keeps its processes busy."""
    one, other = machine.client(), machine.client(pid=200, sid=200)
    for _ in range(FLOOD):
        other.run("ask", params={"ignore_eos": True})
    machine.go(5)
    return one, other


def test_beside_a_flood_it_waits_at_most_twice_as_long_as_alone_on_half_the_machine() -> None:
    alone = Machine(ONE)
    expected = seconds(alone, alone.client())
    m = Machine(TWO)
    one, _ = flood(m)
    took = [seconds(m, one) for _ in range(12)]
    assert max(took) <= 2 * expected
    m.sound()


def test_one_process_gets_the_time_of_one_core_of_two() -> None:
    m = Machine(TWO)
    one, _ = flood(m)
    pid = one.run("ask", params={"ignore_eos": True})
    m.go(2)
    before = one.row(pid)["tokens_out"]
    m.go(10)
    assert one.row(pid)["tokens_out"] - before >= 0.95 * 10 / 0.010
    m.sound()


def test_on_one_core_neither_starves() -> None:
    m = Machine(ONE)
    one, other = flood(m)
    pid = one.run("ask", params={"ignore_eos": True})
    m.go(2)
    before = counts(other, pid)
    m.go(20)
    mine, theirs = (after - start for after, start in zip(counts(other, pid), before, strict=True))
    assert min(mine, theirs) > 0.8 * max(mine, theirs)


def test_the_flood_goes_on_at_once_when_the_other_has_ended() -> None:
    m = Machine(TWO)
    one, _ = flood(m)
    seconds(m, one)
    m.go(0.001)
    assert all(len(core.leased) == core.seating.seats for core in m.kernel.hosts["fake"].cores.values() if core.queue)


def test_without_sessions_in_the_policy_there_is_no_giving_way() -> None:
    m = Machine(TWO, settings=Settings(strict=True, policy="fcfs"))
    one, _ = flood(m)
    pid = one.run("ask", params={"ignore_eos": True})
    m.go(2)
    assert one.row(pid)["tokens_out"] == 0


def test_who_comes_again_begins_a_little_behind_and_who_slept_has_no_more() -> None:
    counters = Counters()
    counters.enter("a")
    counters.charge("a", 1000.0)
    counters.enter("b")
    assert counters["a"] == counters["b"], "it was never there before"
    counters.charge("b", 400.0)
    counters.leave("b")
    counters.enter("b")
    assert counters["b"] - counters["a"] == 400
    counters.leave("b")
    counters.charge("a", 5000.0)
    counters.enter("b")
    assert counters["a"] - counters["b"] == CREDIT


def test_idle_sessions_are_forgotten_once_they_say_nothing() -> None:
    counters = Counters()
    counters.enter("busy")
    for number in range(10 * KEPT):
        counters.enter(f"s{number}")
        counters.charge(f"s{number}", 1.0)
        counters.leave(f"s{number}")
        counters.charge("busy", 300.0)
    assert len(counters.accounts) <= 4 * KEPT
