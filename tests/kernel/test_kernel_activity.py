"""What vmstat, free and lsdev say of cores: how many work, who was moved, and the cells that there are."""

from typing import Any

from llmsh.abi import signals as sig
from llmsh.abi.lease import EXACT, Done, Move
from llmsh.drivers.fakecore import Options
from llmsh.kernel.rates import Rates
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

TWO = Options(cells=20_000, context=4000, answer=100_000, cores=2, cpus=2)
SMALL = Options(cells=8192, context=8192, answer=4000)


def machine(options: Options = TWO) -> Machine:
    return Machine(options, settings=Settings(strict=True))


def moves(client: Client) -> int:
    """As both commands have it."""
    (device,) = client.call("lsdev")["rows"]
    counted: int = client.call("vmstat")["moves"]
    assert device["moves"] == counted
    return counted


def kill(m: Machine, client: Client, pids: list[int]) -> None:
    for pid in pids:
        client.post("kill", pid=pid, sig=sig.KILL)
    m.go(1)


# Moves.


def two_beside_two(m: Machine, client: Client) -> tuple[list[int], list[int]]:
    """Four that have begun, by core."""
    pids = [client.run("say", letter * 50) for letter in "wxyz"]
    m.go(1)
    at = [client.row(pid)["core"] for pid in pids]
    assert sorted(at) == [0, 0, 1, 1]
    return [pid for pid, core in zip(pids, at, strict=True) if not core], [
        pid for pid, core in zip(pids, at, strict=True) if core
    ]


def test_a_move_counts_when_its_cells_have_arrived() -> None:
    m = machine()
    client = m.client()
    here, there = two_beside_two(m, client)
    before, fed = moves(client), [client.row(pid)["tokens_in"] for pid in there]
    kill(m, client, here)
    assert sorted(client.row(pid)["core"] for pid in there) == [0, 1]
    assert moves(client) == before + 1
    assert [client.row(pid)["tokens_in"] for pid in there] == fed, "nothing was computed again"
    m.go(5)
    assert moves(client) == before + 1, "they are even"
    m.sound()


def test_processes_that_stay_do_not_count() -> None:
    m = machine()
    client = m.client()
    pids = [client.run("say", letter * 50) for letter in "xy"]
    m.go(3)
    assert sorted(client.row(pid)["core"] for pid in pids) == [0, 1]
    assert moves(client) == 0


def fails(m: Machine) -> list[int]:
    """From now on an engine has moved, but says of each MOVE that it could not; their operations."""
    host, received, ops = m.kernel.hosts["fake"], m.kernel.hosts["fake"].received, list[int]()
    post = host.device.post

    def posted(message: Any) -> None:
        ops.extend([message.op] if isinstance(message, Move) else [])
        post(message)

    def heard(incarnation: int, message: Any) -> None:
        if isinstance(message, Done) and message.op in ops:
            message = Done(message.op, message.q, 0, "the cells cannot be saved", core=message.core)
        received(incarnation, message)

    host.device.post, host.received = posted, heard  # type: ignore[method-assign]  # the test stands between them
    return ops


def test_a_move_that_failed_is_none_and_the_process_computes_its_cells_again() -> None:
    job = Job("say", "x" * 50, None, (("max_tokens", 900),))
    m = machine()
    client = m.client()
    pids = [job.start(client)[0] for _ in range(4)]
    m.go(1)
    before, tried = moves(client), fails(m)
    here = [pid for pid in pids if client.row(pid)["core"] == 0]
    kill(m, client, here)
    assert tried
    assert moves(client) == before
    left = [pid for pid in pids if pid not in here]
    m.clock.run_until(lambda: all(client.exited(pid) for pid in left))
    assert [end_of(client, [pid]) for pid in left] == [undisturbed(job, TWO)] * 2


def test_who_has_nothing_yet_is_moved_at_once() -> None:
    """One seat a core: those behind have not begun when the other core has nobody left."""
    m = Machine(TWO, settings=Settings(strict=True, batch=1, policy="fcfs"))
    client = m.client()
    pids = [client.run("say", letter * 50) for letter in "uvwxyz"]
    m.go(0.3)
    first = [pid for pid in pids if client.row(pid)["tokens_out"]]
    assert len(first) == 2
    before = moves(client)
    waiting = [each for each in m.kernel.hosts["fake"].cores[1].queue.streams.values() if not each.q]
    assert len(waiting) == 2
    kill(m, client, [pid for pid in pids if m.kernel.hosts["fake"].cores[0].queue.streams.get(pid)])
    assert moves(client) == before + 1
    m.sound()


def test_what_was_counted_stays_when_the_model_goes() -> None:
    m = machine()
    client = m.client()
    here, there = two_beside_two(m, client)
    kill(m, client, here)
    counted = moves(client)
    assert counted
    m.device.crash()
    m.go(1)
    assert moves(client) >= counted
    kill(m, client, there)
    counted = moves(client)
    client.call("unload", model="fake")
    assert client.call("vmstat")["moves"] == counted
    assert [client.call("vmstat")[name] for name in ("cores", "threads", "seats")] == [0, 0, 0]


# The configuration.


class Shelf:
    """Keeps nothing: all is measured anew."""

    def find(self, model: str) -> Rates | None:
        return None

    def keep(self, model: str, rates: Rates) -> None:
        assert rates.ms


def levels(client: Client) -> tuple[int, int, int]:
    now = client.call("vmstat")
    return now["cores"], now["threads"], now["seats"]


def test_cores_threads_and_seats_are_those_chosen_for_who_can_run() -> None:
    """A second sequence in a batch costs twice a step of one; a second thread is worth a quarter."""
    options = TWO._replace(gain=0.25, each=10.0)
    m = Machine(options, settings=Settings(strict=True, calibrate=True), shelf=Shelf())
    client = m.client()
    assert levels(client) == (0, 0, 0), "there is no engine"
    client.post("load", model="fake")
    m.clock.run_until(lambda: m.kernel.hosts["fake"].ready)
    assert levels(client) == (2, 1, 16), "nothing is chosen yet"
    tuning = m.kernel.hosts["fake"].tuning
    m.clock.run_until(lambda: tuning.complete and not tuning.measuring, 60)
    seen, counts = [], [client.call("vmstat")["changes"]]
    for text in "xy":
        client.run("say", text * 50)
        m.go(2)
        seen.append(levels(client))
        counts.append(client.call("vmstat")["changes"])
    assert seen == [(1, 2, 1), (2, 1, 1)]
    assert counts == sorted(set(counts)), "each choice counts"
    (device,) = client.call("lsdev", long=True)["rows"]
    chosen = device["rates"]["chosen"]
    assert (chosen["cores"], chosen["threads"], chosen["seats"]) == seen[-1]
    assert device["rates"]["changes"] == counts[-1]
    m.device.crash()
    m.go(2)
    assert levels(client) == seen[-1]
    assert client.call("vmstat")["changes"] > counts[-1], "another engine is told anew"


def test_of_two_models_it_is_the_one_that_ran_last() -> None:
    m = machine()
    client = m.client()
    kill(m, client, [client.run("say")])
    assert levels(client)[0] == 2
    m.options = TWO._replace(cores=1)
    other = client.run("say", model="fake:other")
    m.go(1)
    assert levels(client)[0] == 1
    kill(m, client, [other])
    assert levels(client)[0] == 1
    client.run("say")
    m.go(1)
    assert levels(client)[0] == 2


# Cells.


def test_cells_of_deterministic_processes_are_in_the_sums_while_they_are_there() -> None:
    m = machine(SMALL)
    client = m.client()
    shared = client.run("ask", "s" * 6000)
    m.clock.run_until(lambda: client.row(shared)["rss"] > 6000)
    alone = free(client)
    assert alone["total"] == 8192
    exact = client.run("ask", "e" * 4000, params={"deterministic": True})
    m.clock.run_until(lambda: client.row(exact)["rss"] > 4000 and client.row(shared)["rss"] > 6000)
    assert client.row(exact)["core"] == EXACT
    both = free(client)
    assert both["used"] > 10_000
    assert both["total"] == 8192 + 8192
    m.device.crash()
    m.clock.run_until(lambda: m.kernel.hosts["fake"].ready)
    assert free(client)["total"] in (8192, 16_384)
    kill(m, client, [exact])
    assert free(client)["total"] == 8192
    m.sound()


def test_a_deterministic_process_whose_cells_are_saved_keeps_its_core() -> None:
    """Two take turns on it: whoever of them has it, there are as many cells."""
    m = machine(SMALL)
    client = m.client()
    pids = [client.run("ask", letter * 500, params={"deterministic": True}) for letter in "xy"]
    m.go(1)
    totals = set()
    for _ in range(40):
        m.go(0.1)
        totals.add(free(client)["total"])
    assert totals == {16_384}
    client.post("kill", pid=pids[0], sig=sig.KILL)
    client.post("kill", pid=pids[1], sig=sig.KILL)
    m.go(1)
    assert free(client)["total"] == 8192


def free(client: Client) -> dict[str, Any]:
    """The row of free, which says what vmstat and lsdev do."""
    row: dict[str, Any]
    (row,) = client.call("free")["rows"]
    (device,) = client.call("lsdev")["rows"]
    now = client.call("vmstat")
    assert row["total"] == row["used"] + row["free"] == now["used"] + now["free"] == device["cells"]
    assert row["used"] == device["cells_used"] == now["used"]
    assert min(row["free"], now["free"]) >= 0
    assert row["total_bytes"] == row["total"] * device["cell_bytes"]
    return row
