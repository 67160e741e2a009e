"""A model that leaves memory and comes back: what its processes had is in the swap file meanwhile."""

from typing import Any

import pytest

from llmsh.abi import lease
from llmsh.abi import signals as sig
from llmsh.drivers.fakecore import Options
from llmsh.kernel.hibernation import LONGEST_S
from llmsh.kernel.host import Host
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, undisturbed

KIB = 1 << 10
OPTIONS = Options(cells=1000, context=1000, prefill=5.0, start=100.0, weights=3000)
"""4,000 KiB each: 1,000 of them are cells. Slow at input, so that every image is worth its file."""
PLAIN = OPTIONS._replace(start=5.0)
LINE, SECOND = b"hello there, how are you all this fine day, my old friend\n", b"you\n"
TALK = Job("talk", given=LINE + SECOND, params=(("max_tokens", 5),))
COUNT = 3


def machine(options: Options = OPTIONS, **more: Any) -> Machine:
    """With room for one model."""
    settings: dict[str, Any] = {"memory": 4000 * KIB, "swap_memory": 4 << 20, "swap_file": 4 << 20}
    return Machine(options, settings=Settings(strict=True, **(settings | more)))


def say(m: Machine, client: Client, pid: int, line: bytes, **more: Any) -> None:
    """A line to a chat, as far as its answer."""
    client.wanted.pop(pid, None)
    client.call("write", line, pid=pid, fd=0, **more)
    m.clock.run_until(lambda: pid in client.wanted or client.exited(pid) is not None)


def waits(m: Machine, client: Client, pid: int) -> None:
    m.clock.run_until(lambda: pid in client.wanted)


def chats(m: Machine, client: Client, count: int = COUNT, **params: Any) -> list[int]:
    """Chats that have answered once and wait."""
    pids = []
    for _ in range(count):
        pid = client.run("talk", "", stdin="client", model="fake:a", params={"max_tokens": 5, **params})
        waits(m, client, pid)
        say(m, client, pid, LINE)
        pids.append(pid)
    m.go(1)
    return pids


def push_out(m: Machine, client: Client) -> Host:
    """Somebody needs the other model; the host of the one that had to go."""
    other = client.run("say", model="fake:b")
    m.clock.run_until(lambda: client.exited(other) is not None)
    host = m.kernel.hosts["fake:a"]
    assert host.state == "out"
    return host


def all_say_the_rest(m: Machine, client: Client, pids: list[int]) -> None:
    """A second line to each, and what they have said is what they say when nothing happens to them."""
    for pid in pids:
        say(m, client, pid, SECOND, eof=True)
        assert bytes(client.out[pid]) == undisturbed(TALK, PLAIN).out


def free(client: Client, name: str = "fake:a") -> dict[str, Any]:
    row: dict[str, Any] = next(row for row in client.call("free")["rows"] if row["model"] == name)
    return row


def test_nothing_is_computed_again_and_who_shared_shares() -> None:
    m = machine()
    client = m.client()
    pids = chats(m, client)
    before = free(client)
    assert before["shared"] > 0
    host = push_out(m, client)
    rows = [client.row(pid) for pid in pids]
    assert all(row["swap"] > 0 and row["swap_bytes"] > 0 and row["rss"] == 0 for row in rows)
    assert free(client)["swap"] == before["used"], "as many cells as there were, what was shared counted once"
    assert client.call("vmstat")["swap"] == before["used"]
    assert host.swap.extents.used == free(client)["swap_bytes"]
    fed = host.tokens_in
    all_say_the_rest(m, client, pids)
    new = len(f"<user>{SECOND.decode()}<assistant>")
    assert host.tokens_in - fed <= COUNT * (new + 10)
    assert host.swap.extents.used == 0
    m.sound()


@pytest.mark.parametrize("params", [{}, {"deterministic": True}])
def test_it_is_as_if_the_model_had_never_left(params: dict[str, Any]) -> None:
    """The same cells, shared as before, and as much computed."""
    found = []
    for leaves in (False, True):
        m = machine()
        client = m.client()
        pids = chats(m, client, **params)
        host = push_out(m, client) if leaves else m.kernel.hosts["fake:a"]
        fed = host.tokens_in
        for pid in pids:
            say(m, client, pid, SECOND)
        row = free(client)
        found.append((host.tokens_in - fed, row["used"], row["shared"], row["swap"]))
        m.sound()
    assert found[0] == found[1]


def test_what_ends_while_it_is_away_gives_its_room_in_the_file_back() -> None:
    m = machine()
    client = m.client()
    pids = chats(m, client)
    host = push_out(m, client)
    used = host.swap.extents.used
    client.call("kill", pid=pids[0], sig=sig.KILL)
    assert 0 < host.swap.extents.used < used
    for pid in pids[1:]:
        client.call("kill", pid=pid, sig=sig.KILL)
    assert all(map(client.exited, pids))
    last = chats(m, client, 1)
    m.go(1)
    m.sound()
    client.call("kill", pid=last[0], sig=sig.KILL)
    m.go(1)
    assert host.swap.extents.used == 0


def test_a_fork_of_one_that_is_away_says_what_it_would_have_said() -> None:
    m = machine()
    client = m.client()
    (pid,) = chats(m, client, 1)
    push_out(m, client)
    child = client.call("fork", pid=pid, stdin="client")["pid"]
    m.clock.run_until(lambda: child in client.wanted)
    for each in (child, pid):
        say(m, client, each, SECOND, eof=True)
    whole = undisturbed(TALK, PLAIN).out
    assert bytes(client.out[pid]) == whole
    assert whole.endswith(bytes(client.out[child]))
    m.sound()


@pytest.mark.parametrize("room", [0, 20 * KIB])
def test_without_room_in_the_file_it_is_computed_again(room: int) -> None:
    m = machine(swap_file=room)
    client = m.client()
    pids = chats(m, client)
    host = push_out(m, client)
    assert host.swap.extents.used <= room
    fed = host.tokens_in
    all_say_the_rest(m, client, pids)
    assert host.tokens_in - fed > 100
    m.sound()


def test_nobody_waits_long_for_a_slow_disk() -> None:
    """A second for each of the images: what is not written in time is computed again."""
    m = machine(OPTIONS._replace(disk=60.0), model_wait_s=20.0, swap_order="none")
    client = m.client()
    pids = chats(m, client, 8)
    began = m.clock.now()
    push_out(m, client)
    assert m.clock.now() - began < LONGEST_S + 2
    away = [pid for pid in pids if client.row(pid)["swap"]]
    assert 0 < len(away) < len(pids)
    all_say_the_rest(m, client, pids)
    m.sound()


def test_an_engine_that_dies_while_it_leaves_takes_its_file_with_it() -> None:
    m = machine(OPTIONS._replace(disk=20.0), model_wait_s=20.0, swap_order="none")
    client = m.client()
    pids = chats(m, client, 6)
    other = client.run("say", model="fake:b")
    host = m.kernel.hosts["fake:a"]
    m.clock.run_until(lambda: host.leaving and len(host.hibernation.kept()) >= 3)
    m.devices["fake:a"].crash()
    m.clock.run_until(lambda: client.exited(other) is not None)
    assert host.swap.extents.used == 0
    all_say_the_rest(m, client, pids)
    m.sound()


def test_who_was_not_written_in_time_is_found_by_nobody_below_what_was() -> None:
    m = machine(OPTIONS._replace(disk=25.0), model_wait_s=20.0, swap_order="none")
    client = m.client()
    pids = chats(m, client, 8, max_tokens=40)
    host = push_out(m, client)
    kept = [keeper for core in host.cores.values() for keeper in core.sharing.keepers]
    assert kept
    assert any(len(keeper.users) < len(pids) for keeper in kept)
    assert not any(keeper.branch.below for keeper in kept), "whoever is there again is found anew"


@pytest.mark.parametrize("after", [0.0, 0.1005, 0.102])
def test_an_engine_that_dies_on_the_way_back_costs_nobody_a_token(after: float) -> None:
    m = machine()
    client = m.client()
    pids = chats(m, client)
    push_out(m, client)
    for pid in pids:
        client.wanted.pop(pid)
        client.call("write", SECOND, pid=pid, fd=0, eof=True)
    m.clock.run_until(lambda: m.devices["fake:a"].alive)
    m.go(after)
    m.devices["fake:a"].crash()
    m.clock.run_until(lambda: all(map(client.exited, pids)))
    assert {bytes(client.out[pid]) for pid in pids} == {undisturbed(TALK, PLAIN).out}
    m.sound()


def test_an_image_that_the_next_engine_refuses_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    m = machine()
    client = m.client()
    pids = chats(m, client)
    host = push_out(m, client)
    received = host.received

    def refuse(incarnation: int, message: lease.FromEngine) -> None:
        if isinstance(message, lease.Done) and message.op in adopting:
            message = lease.Done(message.op, message.q, error="no")
        received(incarnation, message)

    adopting: set[int] = set()
    post = host.post

    def listen(message: lease.ToEngine) -> None:
        if isinstance(message, lease.Adopt):
            adopting.add(message.op)
        post(message)

    monkeypatch.setattr(host, "received", refuse)
    monkeypatch.setattr(host, "post", listen)
    all_say_the_rest(m, client, pids)
    assert host.swap.extents.used == 0
    m.sound()


def test_who_was_stopped_while_the_model_came_and_left_finds_it_when_it_continues() -> None:
    m = machine()
    client = m.client()
    pid = client.run("say", model="fake:a")
    client.call("kill", pid=pid, sig=sig.STOP)
    m.go(1)
    push_out(m, client)
    client.call("kill", pid=pid, sig=sig.CONT)
    m.clock.run_until(lambda: client.exited(pid) is not None)
    m.sound()


def test_a_model_that_is_larger_than_was_known_leaves_again_while_others_work() -> None:
    """5,500 KiB for two of 4,000: until it is there, no more is known than its weights."""
    m = machine(OPTIONS._replace(weights=1000, cells=3000, context=3000), memory=5500 * KIB)
    client = m.client()
    first = client.run("ask", model="fake:a")
    m.go(1)
    second = client.run("say", model="fake:b")
    m.go(1)
    assert [device.name for device in m.devices.values() if device.alive] == ["fake:a"]
    m.clock.run_until(lambda: client.exited(second) is not None)
    assert client.exited(first) is None
    assert m.kernel.models.used <= 5500 * KIB
    m.sound()
