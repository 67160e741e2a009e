"""A child of a process whose image is not at hand: it has it when it first runs."""

import pytest

from llmsh.abi import signals as sig
from llmsh.drivers.fakecore import Options
from llmsh.kernel import inheritance
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine

TEXT = "x" * 1000
BRIEF = {"max_tokens": 80}


def finish(client: Client, pids: list[int]) -> None:
    client.machine.clock.run_until(lambda: all(map(client.exited, pids)), 3600)
    client.machine.go(1)
    client.machine.sound()


def fork(client: Client, parent: int) -> int:
    call = client.post("fork", pid=parent)
    client.machine.clock.run_until(lambda: call in client.replies)
    pid: int = client.answer(call)["pid"]
    return pid


def filed() -> tuple[Machine, Client, int]:
    """A stopped process whose cells another has just begun to want. Memory holds one image, so its goes to the file."""
    options = Options(cells=1400, context=1400, answer=100, save=3.0, disk=0.01)
    m = Machine(options, settings=Settings(strict=True, swap_memory=1, swap_file=1 << 24))
    client = m.client()
    parent = client.run("ask", TEXT, params=BRIEF)
    for text in ("z" * 1100, "y" * 1200):
        m.clock.run_until(lambda: client.row(parent)["tokens_out"] >= 5)
        client.post("kill", pid=parent, sig=sig.STOP)
        other = client.run("ask", text, params={"max_tokens": 300})
        m.clock.run_until(lambda pid=other: client.row(pid)["tokens_out"] >= 2)  # type: ignore[misc]  # bound at once
        client.post("kill", pid=other, sig=sig.STOP)
    client.run("ask", "w" * 1000, params={"max_tokens": 5})
    return m, client, parent


@pytest.mark.parametrize("moment", [0.0, 0.002, 0.005, 0.01, 0.02, 2.0])
def test_of_a_process_in_the_swap_file_the_child_reads_the_image(moment: float) -> None:
    """Whatever the file and the memory are doing when it is forked."""
    m, client, parent = filed()
    stream, swap = m.kernel.table.get(parent).stream, m.kernel.hosts["fake"].swap
    assert stream is not None
    m.go(moment)
    assert moment < 2 or (swap.has(stream) and not swap.in_memory(stream))
    child = fork(client, parent)
    finish(client, [child])
    assert client.row(child)["tokens_in"] <= 2
    client.post("kill", pid=parent, sig=sig.CONT)
    finish(client, [parent])
    assert bytes(client.out[parent]).endswith(bytes(client.out[child]))


def test_of_a_process_in_the_swap_file_that_ends_the_child_computes() -> None:
    m, client, parent = filed()
    m.go(2)
    child = fork(client, parent)
    client.post("kill", pid=parent, sig=sig.KILL)
    finish(client, [child])
    assert client.ends[child]["status"] == 0


@pytest.mark.parametrize("op", [0, 1])
def test_nothing_is_fetched_of_a_parent_with_an_operation_under_way(op: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new engine may just be told of it: a transfer would come before that."""
    m, client, parent = filed()
    m.go(2)
    host, of = m.kernel.hosts["fake"], m.kernel.table
    given, child = of.get(parent).stream, of.get(fork(client, parent)).stream
    assert given is not None
    assert child is not None
    fetched: list[object] = []
    monkeypatch.setattr(host.swap, "fetch", fetched.append)
    child.parent = given
    given.op = op
    assert inheritance.waits(host.cores[given.core].sharing, child)
    assert fetched == ([] if op else [given])
