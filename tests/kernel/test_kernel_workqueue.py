"""A work queue: several readers of one pipe, whole lines, the next one to whoever is free."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmsh.abi.errors import Error
from llmsh.kernel.settings import Settings
from llmsh.kernel.workqueue import Share, WorkQueue
from tests.support.machine import Client, Machine


class Reader:
    """Takes what it is given at once, and asks for more when told to."""

    def __init__(self, queue: WorkQueue, pid: int) -> None:
        self.share = queue.join(pid)
        self.got: list[bytes] = []
        self.share.on_data = self.take

    def take(self) -> None:
        if self.share.buffer:
            self.got.append(self.share.take(1 << 20))


def queue(capacity: int = 64) -> tuple[WorkQueue, list[tuple[int, int]]]:
    wanted: list[tuple[int, int]] = []
    return WorkQueue(capacity, 1, lambda pid, count: wanted.append((pid, count))), wanted


def pool(machine: Machine, many: int, agent: str = "each") -> tuple[Client, int, list[int]]:
    """So many processes of one group that share a queue."""
    client = machine.client()
    ident = client.call("pipe", shared=True)["id"]
    pids: list[int] = []
    for _ in range(many):
        pgid = pids[0] if pids else 0
        pids.append(client.run(agent, "", stdin=f"pipe:{ident}", pgid=pgid))
    return client, ident, pids


def feed(client: Client, data: bytes) -> None:
    """Give the queue what it asks for, in whatever reader's name, until all is given."""
    machine, rest = client.machine, bytearray(data)
    while rest:
        machine.clock.run_until(lambda: bool(client.wanted))
        pid, most = client.wanted.popitem()
        taken = bytes(rest[:most])
        try:
            client.call("write", taken, pid=pid, fd=0, eof=len(taken) == len(rest))
        except Error as error:
            if error.code not in ("ESRCH", "EPIPE"):
                raise
            continue  # it has just ended: the bytes are still ours
        del rest[:most]


# By itself.


def test_each_line_goes_to_one_reader_whole_in_the_order_in_which_they_are_free() -> None:
    work, _ = queue()
    one, two = Reader(work, 1), Reader(work, 2)
    two.share.ask(9)
    one.share.ask(9)
    work.write(b"a\nbb")
    assert (one.got, two.got) == ([], [b"a\n"])
    work.write(b"b\nccc\n")
    assert (one.got, two.got) == ([b"bbb\n"], [b"a\n"])
    one.share.ask(9)
    assert one.got == [b"bbb\n", b"ccc\n"]


def test_the_last_line_needs_no_end_and_the_end_is_everybodys() -> None:
    work, _ = queue()
    one, two = Reader(work, 1), Reader(work, 2)
    one.share.ask(9)
    work.write(b"a\nlast")
    work.close_write()
    assert not two.share.eof
    two.share.ask(9)
    assert two.got == [b"last"]
    assert (one.share.eof, two.share.eof) == (True, True)
    assert Reader(work, 3).share.eof, "who comes too late"


def test_a_line_longer_than_the_queue_goes_to_one_reader() -> None:
    work, _ = queue(capacity=4)
    one, two = Reader(work, 1), Reader(work, 2)
    for piece in (b"aaaa", b"aaaa", b"a\nb\n"):
        for each in (one, two):
            each.share.ask(9)
        work.write(piece)
    one.share.ask(9)
    assert b"".join(one.got) == b"aaaaaaaaa\n"
    assert two.got == [b"b\n"]


def test_what_a_reader_did_not_take_is_somebody_elses() -> None:
    work, _ = queue()
    gone: Share = work.join(1)
    other = Reader(work, 2)
    gone.ask(9)
    work.write(b"mine\nyours\n")
    assert bytes(gone.buffer) == b"mine\n"
    gone.close_read()
    other.share.ask(9)
    other.share.ask(9)
    assert other.got == [b"mine\n", b"yours\n"]


def test_when_the_last_reader_is_gone_the_writer_hears_of_it() -> None:
    work, _ = queue()
    heard: list[int] = []
    work.on_hangup = lambda: heard.append(1)
    shares = [work.join(n) for n in range(2)]
    shares[0].close_read()
    assert heard == []
    shares[1].close_read()
    assert heard == [1]
    assert work.check() == []


def test_bytes_are_wanted_once_and_again_in_another_name_when_that_one_is_gone() -> None:
    work, wanted = queue(capacity=8)
    one, two = work.join(1), work.join(2)
    one.ask(9)
    two.ask(9)
    assert wanted == [(1, 8)]
    one.close_read()
    assert wanted == [(1, 8), (2, 8)]
    work.write(b"half")
    assert wanted[2:] == [(2, 4)]


def test_nothing_is_no_answer_to_what_was_asked_for() -> None:
    work, wanted = queue(capacity=8)
    one, two = work.join(1), work.join(2)
    one.ask(9)
    work.write(b"")
    two.ask(9)
    assert wanted == [(1, 8)], "it is still to come"
    work.write(b"a\nb\n")
    assert (bytes(one.buffer), bytes(two.buffer)) == (b"a\n", b"b\n")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"") + b"\n"), max_size=20),
    st.lists(st.integers(0, 2), max_size=60),
    st.lists(st.integers(1, 9), min_size=1, max_size=40),
)
def test_every_line_is_read_once_and_whole(lines: list[bytes], asks: list[int], pieces: list[int]) -> None:
    work, _ = queue(capacity=32)
    readers = [Reader(work, n) for n in range(3)]
    rest = b"".join(lines)
    turns = iter(asks)
    while rest:
        size = min(pieces[len(rest) % len(pieces)], work.room)
        work.write(rest[:size])
        rest = rest[size:]
        readers[next(turns, 0)].share.ask(9)
    work.close_write()
    for _ in lines:
        readers[1].share.ask(9)
    assert Counter(line for each in readers for line in each.got) == Counter(lines)
    assert work.check() == []


# In a whole kernel.


def test_a_group_shares_its_work_and_all_of_it_is_done() -> None:
    machine = Machine(settings=Settings(strict=True, pipe_capacity=256))
    client, _, pids = pool(machine, 3)
    feed(client, b"".join(b"line %d\n" % n for n in range(30)))
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    assert [client.ends[pid]["status"] for pid in pids] == [0, 0, 0]
    done = [bytes(client.out[pid]).count(b"\n") for pid in pids]
    assert sum(done) == 30
    assert min(done) >= 5, "each takes the next when it is free"
    machine.sound()
    client.close()
    assert machine.kernel.check() == []


def test_who_is_stopped_takes_one_line_at_most() -> None:
    machine = Machine(settings=Settings(strict=True, pipe_capacity=256))
    client, _, pids = pool(machine, 2)
    machine.clock.run_until(lambda: bool(client.wanted))
    client.post("kill", pid=pids[0], sig=19)
    feed(client, b"a\n" * 20)
    machine.go(10)
    done = [client.out.get(pid, b"").count(b"\n") for pid in pids]
    assert done[0] == 0
    assert done[1] >= 19
    client.post("kill", pid=pids[0], sig=18)
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    assert sum(client.out.get(pid, b"").count(b"\n") for pid in pids) == 20


def test_an_agent_can_fill_it() -> None:
    machine = Machine()
    client, ident, pids = pool(machine, 2)
    source = client.run("each", "one", stdin="null", stdout=f"pipe:{ident}")
    machine.clock.run_until(lambda: all(map(client.exited, [source, *pids])))
    assert sum(client.out.get(pid, b"").count(b"\n") for pid in pids) == 1
    assert client.wanted == {}, "the agent writes, nobody else is asked"
    with pytest.raises(Error, match="no pipe"):
        client.run("say", "x", stdout=f"pipe:{ident}")


def test_one_is_killed_and_the_others_do_its_work() -> None:
    machine = Machine(settings=Settings(strict=True, pipe_capacity=256))
    client, _, pids = pool(machine, 3)
    machine.clock.run_until(lambda: bool(client.wanted))
    client.post("kill", pid=pids[0], sig=9)
    feed(client, b"a\n" * 20)
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    assert client.ends[pids[0]]["status"] == 137
    assert sum(client.out.get(pid, b"").count(b"\n") for pid in pids) == 20
    machine.sound()


def test_when_all_have_ended_who_writes_is_told() -> None:
    machine = Machine(settings=Settings(strict=True, pipe_capacity=256))
    client, ident, pids = pool(machine, 2)
    source = client.run("ask", "endless", stdout=f"pipe:{ident}")
    machine.go(0.2)
    client.post("kill", pid=-pids[0], sig=9)
    machine.clock.run_until(lambda: client.exited(source) is not None)
    assert client.ends[source]["status"] == 141
