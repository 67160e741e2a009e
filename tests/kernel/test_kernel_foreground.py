"""Who is in the foreground: one group a terminal, for as long as somebody there waits for it."""

from typing import Any

import pytest

from llmsh.abi.errors import Error
from tests.support.machine import Client, Machine


def person(machine: Machine, number: int = 1) -> Client:
    """In the foreground of a terminal of their own."""
    client = machine.client(pid=300 + number, sid=300 + number, tty=f"pts/{number}")
    client.peer.fg = True
    return client


def standing(machine: Machine, number: int = 1) -> Client:
    """One more connection from that terminal: the command fg makes one."""
    client = machine.client(pid=900 + number, sid=300 + number, tty=f"pts/{number}")
    client.peer.fg = True
    return client


def detached(client: Client, **more: Any) -> int:
    return client.run("ask", detach=True, stdin="null", stdout="log", stderr="log", **more)


def front(client: Client) -> set[int]:
    """Pids of those in the foreground."""
    return {row["pid"] for row in client.call("ps")["rows"] if row["stat"].endswith("+")}


def refusal(client: Client, **args: Any) -> str:
    with pytest.raises(Error) as caught:
        client.call("foreground", **args)
    return caught.value.code


def test_without_a_terminal_there_is_no_foreground() -> None:
    m = Machine()
    client = m.client()
    pids = [client.run("ask") for _ in range(40)]
    m.go(0.1)
    assert {refusal(client, pgid=pid) for pid in pids} == {"ENOTTY"}
    assert front(client) == set()
    client.call("foreground", pgid=pids[0], on=False)


def test_a_group_of_another_session_stays_where_it_is() -> None:
    m = Machine()
    owner, other = person(m), person(m, 2)
    pid = owner.run("ask")
    m.go(0.1)
    assert refusal(other, pgid=pid, on=False) == "EPERM"
    assert front(owner) == {pid}
    background = detached(owner)
    assert refusal(other, pgid=background) == "EPERM"
    assert front(owner) == {pid}


def test_a_terminal_has_one_foreground() -> None:
    m = Machine()
    client, elsewhere = person(m), person(m, 2)
    pids = [detached(client) for _ in range(40)]
    theirs = elsewhere.run("ask")
    m.go(0.1)
    assert front(client) == {theirs}, "who is detached is nobody's foreground, wherever it was started"
    stands = [standing(m) for _ in range(3)]
    for at, pid in enumerate(pids):
        stands[at % 3].call("foreground", pgid=pid)
        assert front(client) == {pid, theirs}
    m.go(1)
    assert front(client) == {pids[-1], theirs}


def test_a_group_that_comes_to_the_front_comes_first_for_a_while() -> None:
    m = Machine()
    client = person(m)
    first = detached(client)
    second = detached(client, pgid=first)
    m.go(0.1)
    client.call("foreground", pgid=first)
    streams = [m.kernel.table.get(pid).stream for pid in (first, second)]
    assert [stream.task.boost for stream in streams if stream is not None] == [64, 64]


def test_it_is_the_foreground_while_who_asked_waits_there() -> None:
    m = Machine()
    client = person(m)
    pid = detached(client)
    stands = standing(m)
    stands.call("foreground", pgid=pid)
    m.go(1)
    assert front(client) == {pid}
    stands.peer.fg = False  # its group of the machine is in the background
    m.go(1)
    assert front(client) == set()
    stands.peer.fg = True
    m.go(1)
    assert front(client) == {pid}
    stands.close()
    m.go(1)
    assert front(client) == set()


def test_one_who_asks_from_the_background_waits_for_the_terminal() -> None:
    m = Machine()
    client = person(m)
    client.peer.fg = False
    pid = detached(client)
    client.call("foreground", pgid=pid)
    assert front(client) == set()


def test_an_attached_job_goes_back_to_who_holds_its_descriptors() -> None:
    m = Machine()
    client = person(m)
    client.peer.fg = False
    pid = client.run("ask")
    stands = standing(m)
    stands.call("foreground", pgid=pid)
    m.go(1)
    assert front(client) == {pid}
    stands.close()
    m.go(1)
    assert front(client) == set()
    client.peer.fg = True
    m.go(1)
    assert front(client) == {pid}


def test_put_in_the_background_it_stays_there() -> None:
    m = Machine()
    client = person(m)
    pid = detached(client)
    client.call("foreground", pgid=pid)
    client.call("foreground", pgid=pid, on=False)
    m.go(1)
    assert front(client) == set()
