"""Which core a runnable stream belongs on, first as a function, then in a whole kernel over a fake device of cores."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi import signals as sig
from llmsh.drivers.fakeclock import FakeClock
from llmsh.drivers.fakecore import Options
from llmsh.kernel.balance import LOOKS, Balance, eligible, gather, loads, move
from llmsh.kernel.runqueue import RunQueue
from llmsh.kernel.sched import Ledger, Task
from llmsh.kernel.seating import Seating
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from llmsh.kernel.weights import Weights
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

TWO = Options(cells=20_000, context=4000, answer=100_000, cores=2)


def tasks(*nices: int, group: str = "one", first: int = 1) -> list[Task]:
    return [Task(ident, group, nice) for ident, nice in enumerate(nices, first)]


def free(task: Task, to: int = 0) -> bool:
    return True


def bound(task: Task, to: int = 0) -> bool:
    return False


def weighed(cores: Sequence[Sequence[Task]]) -> list[Weights]:
    """Each core's tasks, in order."""
    out = [Weights() for _ in cores]
    for weights, core in zip(out, cores, strict=True):
        for task in core:
            weights.put(task)
    return out


def test_an_idle_core_takes_one_of_two_whatever_they_weigh() -> None:
    both = tasks(0, 19)
    found = move(weighed([both, []]), free)
    assert found is not None
    assert found[:2] == (0, 1)
    assert move(weighed([[both[0]], [both[1]]]), free) is None


def test_a_lone_task_stays_where_it_is() -> None:
    one = tasks(0)
    assert move(weighed([one, []]), free) is None


def test_loads_are_what_is_deserved_and_not_how_many_there_are() -> None:
    heavy, light = tasks(0, 0), tasks(10, 10, first=3)
    found = move(weighed([heavy, light]), free)
    assert found is not None
    assert found[2] in heavy
    # One of each on each core is even.
    assert move(weighed([[heavy[0], light[0]], [heavy[1], light[1]]]), free) is None


def test_a_session_of_forty_weighs_as_much_as_one_of_one() -> None:
    alone, crowd = tasks(0), tasks(*[0] * 40, group="many", first=2)
    assert loads(weighed([alone, crowd])) == pytest.approx([1, 1])
    assert move(weighed([alone, crowd]), free) is None


def test_a_foreground_on_its_only_seat_is_nearly_a_full_core() -> None:
    front, beside, alone = tasks(0), tasks(0, group="b", first=2), tasks(0, group="c", first=3)
    front[0].foreground = True
    cores = [front + beside, alone]
    assert move(weighed(cores), free, 8.0) == (0, 1, beside[0])
    assert move(weighed([front, beside + alone]), free, 8.0) is None
    assert move(weighed(cores), free) is None, "with many seats they run beside it"


def test_who_cannot_go_stays() -> None:
    both = tasks(0, 0)
    assert move(weighed([both, []]), bound) is None


def test_fewer_cores_are_used_when_that_is_the_width() -> None:
    one, three, two = tasks(0), tasks(0, 0, 0, first=2), tasks(0, 0, first=5)
    cores = [one, three, two, []]
    assert gather(weighed(cores), free, 3) is None
    assert gather(weighed(cores), free, 2) == (0, 2, one[0])
    assert gather(weighed(cores), bound, 2) is None
    # Who comes goes to one that is used, or to any while there may be more.
    assert eligible([1, 3, 2, 0], 3) == [0, 1, 2]
    assert eligible([1, 3, 2, 0], 2) == [0, 1, 2]
    assert eligible([1, 3, 2, 0], 4) == [0, 1, 2, 3]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(1, 6))
def test_gathering_ends_with_so_many_cores_and_nobody_lost(counts: list[int], width: int) -> None:
    numbers = iter(range(1, 100))
    cores = [[Task(next(numbers), "one") for _ in range(count)] for count in counts]
    everybody = sorted(task.ident for core in cores for task in core)
    moves = 0
    while (found := gather(weighed(cores), free, width)) is not None:
        source, target, task = found
        cores[source].remove(task)
        cores[target].append(task)
        moves += 1
        assert moves <= sum(counts) * len(counts)
    assert sum(bool(core) for core in cores) == min(width, sum(bool(count) for count in counts))
    assert sorted(task.ident for core in cores for task in core) == everybody


@given(st.lists(st.lists(st.tuples(st.integers(-20, 19), st.sampled_from("abc")), max_size=8), min_size=2, max_size=4))
def test_every_move_evens_out_and_they_end(given_cores: list[list[tuple[int, str]]]) -> None:
    numbers = iter(range(1, 100))
    cores = [[Task(next(numbers), group, nice) for nice, group in core] for core in given_cores]
    everybody = sorted(task.ident for core in cores for task in core)

    def spread() -> float:
        sums = loads(weighed(cores))
        return sum(each * each for each in sums)

    for _ in range(200):
        found = move(weighed(cores), free)
        if found is None:
            break
        before = spread()
        source, target, task = found
        cores[source].remove(task)
        cores[target].append(task)
        assert spread() < before
    else:
        pytest.fail("it never ends")
    assert sorted(task.ident for core in cores for task in core) == everybody
    assert all(cores) or max(map(len, cores)) < 2, "one is idle and another has two"


def test_who_is_bound_keeps_nobody_else() -> None:
    crowd = tasks(*[0] * 200)
    cores, asked = weighed([crowd, []]), []

    def last(task: Task, to: int) -> bool:
        asked.append(task.ident)
        return task is crowd[-1]

    rounds = 0
    while (found := move(cores, last)) is None:
        rounds += 1
        assert len(asked) <= rounds * LOOKS
    assert found == (0, 1, crowd[-1])
    assert len(asked) == len(crowd)


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(-20, 19), st.sampled_from("abc"), st.booleans())))
def test_sums_are_those_of_who_is_there(changes: list[tuple[int, int, str, bool]]) -> None:
    weights = Weights()
    there: dict[int, Task] = {}
    for ident, nice, group, comes in changes:
        task = there.pop(ident, None) or Task(ident, group)
        task.nice = nice
        if comes:
            there[ident] = task
            weights.put(task)
        else:
            weights.drop(task)
    assert len(weights) == len(there)
    assert {task.ident for kind in weights.kinds.values() for task in kind.values()} == set(there)
    for session in "abc":
        found = [task.weight for task in there.values() if task.group == session]
        assert weights.sums.get(session) == (pytest.approx(sum(found)) if found else None)


# In a whole kernel.


def machine(options: Options = TWO) -> Machine:
    return Machine(options, settings=Settings(strict=True))


def cores(client: Client, pids: list[int]) -> list[int]:
    return sorted(client.row(pid)["core"] for pid in pids)


def test_two_processes_have_a_core_each_and_both_go_at_full_speed() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("say"), client.run("say")]
    m.go(1)
    assert cores(client, pids) == [0, 1]
    before = [client.row(pid)["tokens_out"] for pid in pids]
    m.go(5)
    made = [client.row(pid)["tokens_out"] - start for pid, start in zip(pids, before, strict=True)]
    assert made == [pytest.approx(1000, abs=20)] * 2
    m.sound()


def test_a_core_that_falls_idle_takes_over_what_waits_elsewhere_without_computing_again() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("say", letter * 50) for letter in "wxyz"]
    m.go(1)
    assert cores(client, pids) == [0, 0, 1, 1]
    inputs = [client.row(pid)["tokens_in"] for pid in pids]
    for pid in pids:
        if client.row(pid)["core"] == 0:
            client.post("kill", pid=pid, sig=sig.KILL)
    m.go(1)
    left = [pid for pid in pids if client.exited(pid) is None]
    assert cores(client, left) == [0, 1]
    assert [client.row(pid)["tokens_in"] for pid in left] == inputs[:2]
    m.sound()


def test_nice_values_share_each_core() -> None:
    m = machine(Options(cells=200_000, context=100_000, answer=100_000, cores=2))
    client = m.client()
    pids = [client.run("say", nice=nice) for nice in (0, 10, 0, 10)]
    m.go(2)
    before = [client.row(pid)["tokens_out"] for pid in pids]
    m.go(30)
    made = [client.row(pid)["tokens_out"] - start for pid, start in zip(pids, before, strict=True)]
    assert (made[0] + made[2]) / (made[1] + made[3]) == pytest.approx(9.313, rel=0.05)
    m.sound()


def test_a_process_moved_again_and_again_says_what_it_says_undisturbed() -> None:
    options = Options(cells=2000, context=2000, answer=300, cores=3)
    m = machine(options)
    client = m.client()
    job = Job("say", "x" * 40, None, (("max_tokens", 200),))
    pids = [job.start(client)[0] for _ in range(3)]
    others: list[int] = []
    for round_ in range(12):
        others += [client.run("say", "y" * 30) for _ in range(round_ % 4)]
        m.go(0.05)
        while others:
            client.post("kill", pid=others.pop(), sig=sig.KILL)
    m.clock.run_until(lambda: all(client.exited(pid) is not None for pid in pids))
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, options)] * 3
    m.go(1)
    assert m.kernel.hosts["fake"].held == 0


def test_an_engine_that_dies_under_two_cores_is_started_again_and_the_guilty_fails_alone() -> None:
    m = machine(Options(cells=2000, context=2000, answer=300, cores=2))
    client = m.client()
    good = [client.run("say", text) for text in ("one", "two", "three")]
    bad = client.run("say", "poison")
    m.device.poison = b"poison"
    m.clock.run_until(lambda: all(client.exited(pid) is not None for pid in (*good, bad)))
    assert [(client.exited(pid) or {})["status"] for pid in good] == [0, 0, 0]
    assert "died of it twice" in (client.exited(bad) or {})["reason"]


def test_a_core_that_hangs_alone_is_found_while_the_other_goes_on() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("say", "x" * 20, params={"max_tokens": 3900, "ignore_eos": True}) for _ in range(2)]
    m.go(1)
    assert cores(client, pids) == [0, 1]
    m.device.hang_core(1)
    m.go(16)
    assert m.device.incarnation == 2
    assert any("silent" in line for line in m.lines())
    m.clock.run_until(lambda: all(client.exited(pid) is not None for pid in pids))
    assert [(client.exited(pid) or {})["status"] for pid in pids] == [0, 0]
    m.sound()


class Queue:
    """A core of many streams; counts whom it is asked about."""

    def __init__(self, count: int, first: int, policy: str = "fair") -> None:
        self.queue = RunQueue(policy, Ledger())
        self.seating = Seating(16)
        self.asked = 0
        for ident in range(first, first + count):
            self.queue.add(Stream(ident, Task(ident, f"s{ident % 5}"), exact=False))

    def halt(self, stream: Stream) -> None:
        raise AssertionError("nobody has a lease")


class Counted(dict[int, Stream]):
    """Streams by ident; to go through them all is an error."""

    def values(self) -> Any:
        raise AssertionError("all streams are looked at")

    items = __iter__ = values


@pytest.mark.parametrize("policy", ["fair", "deadline"])
@pytest.mark.parametrize("movable", [True, False])
def test_a_wake_among_four_thousand_looks_at_few(movable: bool, policy: str) -> None:
    asked: list[int] = []

    def may(core: Queue, stream: Stream) -> bool:
        asked.append(stream.ident)
        return movable

    gone: list[Stream] = []
    clock = FakeClock()
    balance: Balance[Queue] = Balance(
        clock, may, lambda stream, source, target: gone.append(stream), lambda stream, here, there: False
    )
    balance.cores = [Queue(4000, 1, policy), Queue(0, 5001, policy)]
    for core in balance.cores:
        core.queue.streams = Counted(core.queue.streams)
    balance.changed()
    clock.settle()
    assert bool(gone) == movable
    assert 0 < len(asked) <= LOOKS * len(balance.cores)
