"""Holes in a core's cells: closed when they have cost as much as closing them, and nobody notices."""

from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.lease import EXACT, Done, Pack
from llmsh.abi.records import CORES
from llmsh.drivers.fakecore import Options
from llmsh.kernel.activity import taxes
from llmsh.kernel.cells import Cells
from llmsh.kernel.packing import Packing
from llmsh.kernel.tax import COPY_MS, RENT_MS, WEIGHT, Tax
from tests.support.machine import Machine
from tests.support.undisturbed import Job, end_of, undisturbed


class Port:
    """What goes to an engine, and whose it is."""

    shares = True

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.ended: list[Any] = []

    def post(self, message: Any) -> None:
        self.posted.append(message)

    def operation(self, holder: Any, ended: Any) -> int:
        self.ended.append(lambda: ended(holder, len(self.ended), "", []))
        return len(self.ended)


class Core:
    """A core that only has cells."""

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.port: Any = Port()
        self.cells = Cells(4096, 8)
        self.leased: Any = {}


def packing(index: int = 0, highest: int = 1300) -> tuple[Packing, Core]:
    core = Core(index)
    core.cells.highest = highest
    return Packing(core, Tax()), core


def test_it_is_closed_in_the_step_in_which_it_has_cost_as_much() -> None:
    """1,200 cells cost 0.48 ms a token; to move the 100 that may lie above takes 0.57 ms."""
    hole, core = packing()
    hole.stepped(100, 1)
    assert core.port.posted == []
    hole.stepped(100, 1)
    assert core.port.posted == [Pack(0, 1481, 1)]
    # One at a time, and what has been paid for is not paid again.
    hole.stepped(100, 1)
    assert len(core.port.posted) == 1
    core.port.ended[0]()
    hole.stepped(100, 1)
    assert len(core.port.posted) == 2


def test_every_token_of_a_step_pays() -> None:
    hole, core = packing()
    hole.stepped(100, 2)
    assert len(core.port.posted) == 1


def test_a_hole_that_was_filled_owes_nothing() -> None:
    hole, core = packing()
    hole.stepped(100, 1)
    hole.stepped(1290, 1)
    hole.stepped(100, 1)
    assert core.port.posted == []
    hole.void()
    hole.stepped(100, 1)
    assert core.port.posted == []


def test_a_large_core_is_closed_piece_by_piece() -> None:
    """3,000 cells above a hole of 3,000: 8.4 ms to move, 4 ms a pause."""
    hole, core = packing(highest=6000)
    for _ in range(40):
        hole.stepped(3000, 1)
        if len(core.port.ended) and not core.port.ended[-1]():
            break
    hole.stepped(3000 - 1481, 1)
    assert [message.most for message in core.port.posted] == [1481, 1481]


@pytest.mark.parametrize(("highest", "used"), [(256, 1), (1280, 1100), (1024, 800)])
def test_less_than_a_block_costs_nothing(highest: int, used: int) -> None:
    hole, core = packing(highest=highest)
    for _ in range(1000):
        hole.stepped(used, 8)
    assert core.port.posted == []


def test_neither_exact_nor_what_cannot_be_cut() -> None:
    for index, shares in ((EXACT, True), (0, False)):
        hole, core = packing(index)
        core.port.shares = shares
        for _ in range(100):
            hole.stepped(100, 1)
        assert core.port.posted == []


# A whole kernel.

OPTIONS = Options(cells=4096, context=3000, cell=0.001)


def holey(machine: Machine, job: Job) -> tuple[Any, int]:
    """A process that runs above 2,000 cells of another, which is killed then."""
    client = machine.client()
    below = client.run("ask", "x" * 2000, params={"max_tokens": 900})
    machine.clock.run_until(lambda: client.row(below)["tokens_out"] > 0)
    above = job.start(client)[0]
    machine.clock.run_until(lambda: client.row(above)["tokens_out"] > 5)
    client.post("kill", pid=below, sig=sig.KILL)
    return client, above


def test_who_ran_above_others_lies_low_soon_after_they_are_gone() -> None:
    machine = Machine(OPTIONS)
    job = Job("ask", "y" * 300, None, (("max_tokens", 600),))
    client, above = holey(machine, job)
    engine = machine.device.engine
    assert engine is not None
    assert client.call("vmstat")["highest"] > 2300
    machine.clock.run_until(lambda: engine.cores[0].cells.highest < 1000, 2)
    assert client.exited(above) is None
    assert engine.cores[0].cells.highest == engine.cores[0].cells.used
    machine.sound()
    machine.clock.run_until(lambda: client.exited(above) is not None)
    assert end_of(client, [above]) == undisturbed(job, OPTIONS)
    machine.go(1)
    machine.sound()


def test_an_engine_that_dies_before_it_has_packed_is_packed_no_more() -> None:
    machine = Machine(OPTIONS)
    job = Job("ask", "y" * 300, None, (("max_tokens", 600),))
    client, above = holey(machine, job)
    packing = machine.kernel.hosts["fake"].cores[0].residence.packing
    machine.clock.run_until(lambda: packing._holder.op > 0, 2)
    machine.device.crash()
    machine.clock.run_until(lambda: client.exited(above) is not None)
    assert packing._holder.op == 0
    assert end_of(client, [above]) == undisturbed(job, OPTIONS)
    machine.sound()


def test_how_long_it_took_says_what_copying_costs_there_and_back() -> None:
    machine = Machine(OPTIONS)
    holey(machine, Job("ask", "y" * 300, None, (("max_tokens", 600),)))
    host = machine.kernel.hosts["fake"]
    packing, tax = host.cores[0].residence.packing, host.swap.tax
    machine.clock.run_until(lambda: packing._holder.op > 0, 2)
    host.received(host.incarnation, Done(packing._holder.op, 0, 100, ms=100.0, core=0, highest=700))
    assert (tax.copy, host.cores[0].cells.highest) == (COPY_MS + WEIGHT * (1.0 - COPY_MS), 700)


def test_vmstat_says_what_those_who_do_not_run_cost() -> None:
    machine = Machine(Options(cells=8192, context=3000, cores=2))
    client = machine.client()
    sleeper = client.run("talk", "", stdin="client", params={"max_tokens": 5})
    machine.clock.run_until(lambda: sleeper in client.wanted)
    client.call("write", b"x" * 1000 + b"\n", pid=sleeper, fd=0)
    machine.clock.run_until(lambda: sleeper in client.wanted and client.row(sleeper)["tokens_out"] == 5)
    held = client.row(sleeper)["rss"]
    host = machine.kernel.hosts["fake"]
    row = client.call("vmstat")
    assert (row["highest"], row["tax_ms"]) == (held, round(held * RENT_MS, 3))
    core = client.row(sleeper)["core"]
    assert taxes(host)[core] == {"core": core, "used": held, "highest": held, "tax_ms": row["tax_ms"]}
    assert [set(each) for each in taxes(host)] == [set(CORES)] * 2
    # Nobody pays for its own cells, and so little that nobody leaves for it.
    host.swap.tax.rent = 1e-5
    worker = client.run("say", "z" * 400, params={"max_tokens": 50, "ignore_eos": True})
    machine.clock.run_until(lambda: client.row(worker)["tokens_out"] > 5)
    rows = taxes(host)
    assert sum(each["highest"] for each in rows) == held + client.row(worker)["rss"]
    assert [each["tax_ms"] for each in rows] == [round(held * 1e-5, 3) * (each["core"] == core) for each in rows]
    assert client.call("vmstat")["tax_ms"] == round(held * 1e-5, 3)
    assert client.call("lsdev", long=True)["rows"][0]["layout"] == rows
