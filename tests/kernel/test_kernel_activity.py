"""What vmstat, free and lsdev say of the cells that there are."""

from typing import Any

from llmsh.abi import signals as sig
from llmsh.abi.lease import EXACT
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine

SMALL = Options(cells=8192, context=8192, answer=4000)


def machine(options: Options) -> Machine:
    return Machine(options, settings=Settings(strict=True))


def kill(m: Machine, client: Client, pids: list[int]) -> None:
    for pid in pids:
        client.post("kill", pid=pid, sig=sig.KILL)
    m.go(1)


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
