"""What is charged, and what counts as had: scores, and copies of images."""

from llmsh.abi import signals as sig
from llmsh.abi.lease import Done
from llmsh.drivers.fakecore import Options
from tests.support.machine import Client, Machine


def scoring(client: Client) -> int:
    """A process whose labels are just computed."""
    pid = client.run("sort", "which is it")
    process = client.machine.kernel.table.get(pid)
    client.machine.clock.run_until(lambda: process.stream is not None and process.stream.op != 0)
    return pid


def session(client: Client) -> str:
    return str(client.peer.sid)


def test_labels_are_service_that_was_had() -> None:
    machine = Machine()
    client = machine.client()
    pid = scoring(client)
    ledger = machine.kernel.hosts["fake"].ledger
    before = ledger.used[session(client)]
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    tokens = sum(len(label.encode()) for label in machine.unit("sort").labels)
    assert ledger.used[session(client)] - before >= tokens * machine.kernel.hosts["fake"].input_cost


def test_labels_of_who_is_killed_meanwhile_are_given_back() -> None:
    machine = Machine()
    client = machine.client()
    pid = scoring(client)
    ledger = machine.kernel.hosts["fake"].ledger
    granted, used = ledger.granted[session(client)], ledger.used[session(client)]
    client.post("kill", pid=pid, sig=sig.KILL)
    machine.go(1)
    assert ledger.used[session(client)] == used
    assert ledger.granted[session(client)] < granted
    assert ledger.granted[session(client)] == used, "what was granted is what was had, once nobody runs"


def test_an_image_that_goes_to_another_core_as_it_is_says_nothing_of_copying() -> None:
    machine = Machine(Options(cells=4000, context=4000, answer=400, cores=2))
    client = machine.client()
    pid = client.run("ask", "x" * 600)
    machine.clock.run_until(lambda: client.row(pid)["tokens_out"] > 20)
    host = machine.kernel.hosts["fake"]
    stream = machine.kernel.table.get(pid).stream
    assert stream is not None
    core = host.core(stream)
    client.post("kill", pid=pid, sig=sig.STOP)
    machine.go(0.1)
    core.residence.save(stream)
    machine.go(0.1)
    assert host.swap.has(stream)
    before = host.swap.tax.copy
    host.swap.done(stream, Done(0, stream.q, ms=0.002))
    assert host.swap.tax.copy == before
