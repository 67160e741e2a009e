"""What processes begin with is computed once a core, held once, and kept for who comes next."""

from array import array

import pytest

from llmsh.abi import signals as sig
from llmsh.drivers.fakecore import Options
from llmsh.kernel.holder import Holder
from llmsh.kernel.keeper import Keeper
from llmsh.kernel.prefixes import BLOCK, Prefixes, common
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

TEXT = "the quick brown fox jumps over the lazy dog " * 10
RENDERED = len("<user>\n<assistant>")
OWN = len("00<assistant>") + 1
OPTIONS = Options(cells=8192, context=4096, answer=60)


def machine(options: Options = OPTIONS, batch: int = 16) -> Machine:
    return Machine(options, settings=Settings(strict=True, batch=batch))


def finish(client: Client, pids: list[int]) -> None:
    client.machine.clock.run_until(lambda: all(map(client.exited, pids)), 3600)
    client.machine.go(1)
    client.machine.sound()


def line(client: Client, pid: int, text: str) -> None:
    """A line typed to a chat, which waits for the next one after its answer."""
    client.machine.clock.run_until(lambda: pid in client.wanted)
    del client.wanted[pid]
    client.post("write", text.encode() + b"\n", pid=pid, fd=0, eof=False)


def used(m: Machine) -> int:
    assert m.device.engine is not None
    return m.device.engine.cores[0].cells.used


# The tree.


def holder(log: list[int], base: Keeper | None = None) -> Holder:
    made = Holder(1, "k")
    made.log, made.base = array("i", log), base
    return made


def test_common_counts_equal_leading_tokens() -> None:
    one = array("i", range(1000))
    for same in (0, 1, 15, 16, 500, 999):
        other = array("i", one)
        other[same] = -1
        assert common(one, other) == common(other, one) == same
        assert common(one, other, min(same, 10)) == same
    assert common(one, one[:40]) == 40
    assert common(one, array("i")) == 0


def test_the_tree_finds_who_has_most_in_common() -> None:
    tree, text = Prefixes(), list(range(100))
    keeper = Keeper(array("i", text[:40]), "k", 0)
    left, right = holder(text, keeper), holder([*text[:40], *range(500, 600)], keeper)
    for each in (keeper, left, right):
        tree.insert(each)
    assert tree.find("k", array("i", text[:70] + [7] * 50)) == (left, 70)
    assert tree.find("k", array("i", [*text[:40], *range(500, 520)])) == (right, 60)
    assert tree.find("k", array("i", [*text[:40], *range(900, 950)])) == (keeper, 40)
    assert tree.find("k", array("i", text[:30] + [7] * 50)) == (keeper, 30)
    assert tree.find("other", array("i", text)) == (None, 0)
    assert tree.find("k", array("i", [9] * 50)) == (None, 0)
    tree.remove(left)
    assert tree.find("k", array("i", text)) == (keeper, 40)


def test_of_those_that_go_on_alike_who_has_computed_most_is_found() -> None:
    tree, log = Prefixes(), array("i", range(100))
    first, second = holder(list(log)), holder([*log[: BLOCK + 4], 7])
    first.computed, second.computed = BLOCK + 2, BLOCK + 5
    for each in (first, second):
        tree.insert(each)
    assert tree.find("k", log) == (second, BLOCK + 4)
    assert tree.find("k", log, but=second) == (first, 100)
    first.computed = 60
    assert tree.find("k", log) == (first, 100)
    tree.remove(first)
    assert tree.find("k", log) == (second, BLOCK + 4)
    assert tree.find("k", log, but=second) == (None, 0)


def test_a_keeper_is_found_behind_many_that_were_there_before() -> None:
    tree, log = Prefixes(), array("i", range(1000))
    for number in range(20):
        other = holder([*log[: BLOCK + 4], *range(5000 + number, 5500 + number)])
        other.computed = len(other)
        tree.insert(other)
    keeper = Keeper(log[:900], "k", 0)
    keeper.computed = 900
    tree.insert(keeper)
    assert tree.find("k", log) == (keeper, 900)


def test_the_image_of_a_process_is_nothing_that_others_could_have() -> None:
    tree, log = Prefixes(), array("i", range(100))
    asleep, here = holder(list(log)), holder(list(log))
    asleep.computed = asleep.image = 99
    here.computed = 60
    for each in (here, asleep):
        tree.insert(each)
    assert tree.find("k", log) == (here, 100)
    assert (tree.missed(here), tree.missed(asleep)) == (60, 39)
    tree.remove(here)
    assert tree.missed(here) == 0


# Processes.


@pytest.mark.parametrize("prefill", [0.2, 7, 10])
def test_sixteen_of_a_unit_compute_their_prompt_once_and_hold_it_once(prefill: float) -> None:
    """Wherever a step of the first ends, who waits takes all that it has in common, to the last token."""
    m = machine(OPTIONS._replace(prefill=prefill))
    client = m.client()
    pids = [client.run("ask", TEXT + f"{n:02}", params={"max_tokens": 20}) for n in range(16)]
    m.clock.run_until(lambda: all(client.row(pid)["tokens_out"] >= 5 for pid in pids))
    rows = [client.row(pid) for pid in pids]
    assert [row["shared"] >= len(TEXT) for row in rows] == [True] * 16
    assert sum(row["tokens_in"] for row in rows) <= len(TEXT) + 16 * OWN
    assert used(m) < len(TEXT) * 1.1 + 16 * 50
    (free,) = client.call("free")["rows"]
    assert (free["used"], free["shared"] >= len(TEXT), free["cached"]) == (free["used"], True, 0)
    finish(client, pids)


def test_a_prompt_is_computed_once_a_core_whoever_is_taken_from_it() -> None:
    m = machine(Options(cells=8192, context=4096, answer=60, cores=2, prefill=10))
    client = m.client()
    pids = [client.run("ask", TEXT + f"{n:02}", params={"max_tokens": 20}) for n in range(16)]
    host = m.kernel.hosts["fake"]
    for width in (1, 2, 1, 2):
        m.clock.run_until(lambda: any(each.computed for core in host.cores.values() for each in core.leased.values()))
        m.go(0.3)
        host._balance.width = width
        host._balance.changed()
    finish(client, pids)
    assert sum(client.row(pid)["tokens_in"] for pid in pids) < 2.2 * len(TEXT) + 16 * 30


@pytest.mark.parametrize("sequences", [256, 13, 12])
def test_what_a_core_has_computed_goes_to_another_as_one_image(sequences: int) -> None:
    m = machine(Options(cells=20_000, sequences=sequences, context=4096, answer=400, prefill=10, cores=2))
    client = m.client()
    first = client.run("ask", TEXT + "first", params={"max_tokens": 400})
    m.clock.run_until(lambda: client.row(first)["tokens_out"] > 0)
    pids = [client.run("ask", TEXT + f"{n:02}", params={"max_tokens": 400}) for n in range(11)]
    m.clock.run_until(lambda: all(client.row(pid)["tokens_out"] > 0 for pid in pids))
    rows = [client.row(pid) for pid in (first, *pids)]
    assert {row["core"] for row in rows} == {0, 1}
    assert sum(row["tokens_in"] for row in rows) < len(TEXT) + 12 * 60
    own = sum(row["ctx"] - len(TEXT) for row in rows)
    assert client.call("free")["rows"][0]["used"] < 2 * len(TEXT) + own + 12 * 40
    m.sound()


def test_who_comes_goes_where_its_prompt_is() -> None:
    m = machine(Options(cells=20_000, context=4096, answer=400, prefill=10, cores=2))
    client = m.client()
    first = client.run("ask", TEXT + "first", params={"max_tokens": 400})
    m.clock.run_until(lambda: client.row(first)["tokens_out"] > 0)
    m.kernel.hosts["fake"]._balance.width = 2
    client.run("say", "another text", params={"max_tokens": 400})
    m.clock.run_until(lambda: len({client.row(pid)["core"] for pid in (first, first + 1)}) == 2)
    second = client.run("ask", TEXT + "second", params={"max_tokens": 400})
    m.clock.run_until(lambda: client.row(second)["tokens_out"] > 0)
    assert client.row(second)["tokens_in"] < 60


def test_who_ended_is_kept_though_another_has_begun_alike() -> None:
    m = machine(Options(cells=8192, context=4096, answer=60, prefill=10))
    client = m.client()

    def stopped_at(text: str, count: int) -> int:
        pid = client.run("ask", text, params={"max_tokens": 20})
        m.clock.run_until(lambda: client.row(pid)["rss"] >= count)
        client.post("kill", pid=pid, sig=sig.STOP)
        m.go(1)
        return pid

    first, other = stopped_at(TEXT + "one", 100), stopped_at(TEXT + "two", 200)
    client.post("kill", pid=first, sig=sig.CONT)
    finish(client, [first])
    third = client.run("ask", TEXT + "six", params={"max_tokens": 5})
    finish(client, [third])
    assert client.row(third)["tokens_in"] < BLOCK + 3
    client.post("kill", pid=other, sig=sig.KILL)


def test_who_lets_go_of_its_cells_to_share_keeps_its_place() -> None:
    m = machine(Options(cells=8192, context=4096, answer=60))
    client = m.client()
    client.run("ask", TEXT, params={"max_tokens": 400})
    pid = client.run("ask", "another text", params={"max_tokens": 400})
    m.go(1)
    core = m.kernel.hosts["fake"].cores[0]
    stream = core.queue.streams[pid]
    seen: list[tuple[object, ...]] = []

    def look() -> None:
        seen.append((stream in core.queue, stream.task.vtime, stream.task.level, stream.task.since))

    core.halt(stream)
    stream.on_quiet.append(look)
    core.rebuild(stream)
    stream.on_quiet.append(lambda: seen.append((stream.q,)))
    stream.on_quiet.append(look)
    m.go(1)
    assert seen == [seen[0], (0,), seen[0]]
    assert seen[0][0]
    assert client.row(pid)["rss"] > 0
    m.sound()


def test_what_is_shared_says_what_it_says_alone() -> None:
    m = machine(batch=4)
    client = m.client()
    jobs = [Job("ask", TEXT + f"{n:02}", None, (("max_tokens", 40),)) for n in range(8)]
    pids = [job.start(client)[0] for job in jobs]
    finish(client, pids)
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, OPTIONS) for job in jobs]


def test_who_ended_leaves_what_it_began_with() -> None:
    m = machine()
    client = m.client()
    first = client.run("ask", TEXT + "one", params={"max_tokens": 5})
    finish(client, [first])
    (free,) = client.call("free")["rows"]
    assert free["cached"] == free["used"] >= len(TEXT)
    second = client.run("ask", TEXT + "two", params={"max_tokens": 5})
    finish(client, [second])
    assert client.row(first)["tokens_in"] == len(TEXT) + 3 + RENDERED
    assert client.row(second)["tokens_in"] < 3 + RENDERED + BLOCK
    assert client.call("check")["cells"] == 0


def test_units_do_not_share_with_each_other() -> None:
    m = machine()
    client = m.client()
    pids = [client.run(unit, TEXT, params={"max_tokens": 5}) for unit in ("ask", "say")]
    finish(client, pids)
    assert [client.row(pid)["tokens_in"] for pid in pids] == [len(TEXT) + RENDERED] * 2


def test_a_deterministic_process_shares_nothing() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("ask", TEXT, params={"max_tokens": 5, "deterministic": True}) for _ in range(2)]
    finish(client, pids)
    assert [client.row(pid)["tokens_in"] for pid in pids] == [len(TEXT) + RENDERED] * 2


def test_a_chat_computes_only_what_is_new() -> None:
    m = machine()
    client = m.client()
    pid = client.run("talk", "", stdin="client")
    line(client, pid, TEXT)
    m.go(2)
    before = client.row(pid)["tokens_in"]
    line(client, pid, "and then?")
    m.go(2)
    assert client.row(pid)["tokens_in"] - before < 60
    m.sound()


def test_the_cache_makes_room_for_who_wants_it() -> None:
    m = machine(Options(cells=1000, context=1000, answer=60))
    client = m.client()
    first = client.run("ask", "a" * 600, params={"max_tokens": 5})
    finish(client, [first])
    second = client.run("ask", "b" * 800, params={"max_tokens": 5})
    finish(client, [second])
    assert client.ends[second]["status"] == 0
    third = client.run("ask", "a" * 600, params={"max_tokens": 5})
    finish(client, [third])
    # What was first went to an image, and came back.
    assert client.row(third)["tokens_in"] < BLOCK


def test_the_cache_of_one_unit_is_bounded() -> None:
    m = machine(Options(cells=60_000, context=4096, answer=60))
    client = m.client()
    for n in range(40):
        finish(client, [client.run("ask", f"{n:03}" * 200, params={"max_tokens": 2})])
    core = m.kernel.hosts["fake"].cores[0]
    assert 0 < len(core.sharing.keepers) <= 9


def test_swapped_sharers_come_back_as_sharers() -> None:
    options = Options(cells=1000, context=1000, answer=400)
    m = machine(options)
    client = m.client()
    jobs = [Job("ask", TEXT + f"{n:02}", None, (("max_tokens", 300),)) for n in range(6)]
    pids = [job.start(client)[0] for job in jobs]
    m.clock.run_until(lambda: sum(client.row(pid)["swap"] > 0 for pid in pids) >= 2)
    swapped = [client.row(pid) for pid in pids if client.row(pid)["swap"]]
    assert all(row["swap"] + len(TEXT) <= row["ctx"] + BLOCK for row in swapped)
    assert m.kernel.hosts["fake"].cores[0].sharing.shared >= len(TEXT)
    finish(client, pids)
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, options) for job in jobs]


def test_who_sleeps_leaves_the_cells_when_others_pay_for_it() -> None:
    m = machine()
    client = m.client()
    sleeper = client.run("talk", "", stdin="client")
    line(client, sleeper, TEXT)
    m.go(2)
    assert client.row(sleeper)["rss"] > len(TEXT)
    worker = client.run("say", "z" * 40, params={"max_tokens": 3000, "ignore_eos": True})
    m.go(5)
    assert (client.row(sleeper)["rss"], client.row(sleeper)["swap"] > len(TEXT)) == (0, True)
    before = client.row(sleeper)["tokens_in"]
    line(client, sleeper, "and then?")
    m.go(5)
    assert client.row(sleeper)["tokens_in"] - before < 60
    client.post("kill", pid=worker, sig=sig.KILL)
    m.go(1)
    m.sound()


def test_alone_a_sleeper_stays() -> None:
    m = machine()
    client = m.client()
    sleeper = client.run("talk", "", stdin="client")
    line(client, sleeper, TEXT)
    m.go(100)
    assert client.row(sleeper)["rss"] > len(TEXT)


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.1, 0.3, 1])
def test_an_engine_that_dies_takes_nothing_that_is_shared(seconds: float) -> None:
    m = machine()
    client = m.client()
    jobs = [Job("ask", TEXT + f"{n:02}", None, (("max_tokens", 40),)) for n in range(5)]
    pids = [job.start(client)[0] for job in jobs]
    m.go(seconds)
    m.device.crash("killed by signal 9")
    finish(client, pids)
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, OPTIONS) for job in jobs]


def test_nobody_gives_up_a_seat_to_who_waits_for_what_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    m = Machine(Options(cells=4000, context=2000), settings=Settings(strict=True, policy="mlfq", batch=1))
    client = m.client()
    first = client.run("say", "x" * 300)
    m.clock.run_until(lambda: client.exited(first) is not None)
    host = m.kernel.hosts["fake"]
    (keeper,) = host.cores[0].sharing.keepers
    runs = client.run("ask", "another text, and a long one at that " * 20, params={"max_tokens": 2000})
    m.go(2)
    halted: list[Holder] = []
    halt = host.cores[0].halt

    def heard(stream: Stream) -> None:
        halted.append(stream)
        halt(stream)

    monkeypatch.setattr(host.cores[0], "halt", heard)
    keeper.op = host.operation(keeper, lambda *_: None)
    waits = client.run("say", "x" * 300 + "!")
    before = client.row(runs)["tokens_out"]
    m.go(1)
    assert not halted
    assert client.row(runs)["tokens_out"] - before > 150
    keeper.op = 0
    m.clock.run_until(lambda: client.exited(waits) is not None)
    assert halted, "it was the one that comes first"
