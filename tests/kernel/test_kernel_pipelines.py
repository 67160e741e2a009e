"""Pipes between agents, and between an agent and its client: capacity, back-pressure, ends."""

from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.abi.limits import PIPE_MAX, PIPE_MIN
from llmsh.drivers.fakecore import Options
from llmsh.drivers.faketext import Script
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

BIG = Options(cells=20_000, context=10_000, answer=300)


def pair(client: Client, capacity: int = 256, writer: str = "ask") -> tuple[int, int]:
    """A writer and a reader that is stopped."""
    pipe = client.call("pipe", capacity=capacity)["id"]
    first = client.run(writer, stdout=f"pipe:{pipe}")
    second = client.run("each", "", stdin=f"pipe:{pipe}", pgid=first)
    client.call("kill", pid=second, sig=sig.STOP)
    return first, second


@pytest.mark.parametrize("capacity", [PIPE_MIN, 1000, 4096])
def test_a_full_pipe_stops_the_writers_tokens(capacity: int) -> None:
    machine = Machine(BIG, Script(b"x" * 9000))
    client = machine.client()
    first, _ = pair(client, capacity, "say")
    machine.clock.run_until(lambda: client.row(first)["wchan"] == "pipe")
    row = client.row(first)
    assert (row["tokens_out"], row["stat"]) == (capacity, "S")
    machine.go(60)
    assert client.row(first)["tokens_out"] == capacity
    machine.sound()


def test_the_capacity_that_is_given_when_none_is_asked_for() -> None:
    client = Machine(settings=Settings(strict=True, pipe_capacity=777)).client()
    assert client.call("pipe")["capacity"] == 777
    for wrong in (PIPE_MIN - 1, PIPE_MAX + 1, -1):
        with pytest.raises(Error, match="capacity"):
            client.call("pipe", capacity=wrong)


def test_the_writer_goes_on_as_the_reader_takes_and_nothing_is_lost() -> None:
    job = Job("say", "source", into=Job("each", "", None, (("max_tokens", 3),)))
    machine = Machine(BIG)
    client = machine.client()
    pids = job.start(client)
    for _ in range(30):
        client.post("kill", pid=pids[1], sig=sig.STOP)
        machine.go(0.2)
        client.post("kill", pid=pids[1], sig=sig.CONT)
        machine.go(0.02)
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    assert end_of(client, pids) == undisturbed(job, BIG)
    machine.sound()


@pytest.mark.parametrize("number", [sig.KILL, sig.INT, sig.TERM])
def test_a_reader_that_goes_ends_the_writer_by_pipe_at_once(number: int) -> None:
    """Not at its next write, and with at most the step under way computed."""
    machine = Machine(BIG)
    client = machine.client()
    pipe = client.call("pipe", capacity=4096)["id"]
    first = client.run("ask", stdout=f"pipe:{pipe}")
    second = client.run("each", "", stdin=f"pipe:{pipe}")
    machine.clock.run_until(lambda: client.row(first)["tokens_out"] == 20)
    steps = machine.kernel.hosts["fake"].steps
    client.post("kill", pid=second, sig=number)
    end = client.exited(first)
    assert end is not None
    assert (end["status"], end["signal"]) == (141, sig.PIPE)
    machine.go(1)
    assert machine.kernel.hosts["fake"].steps <= steps + 1
    assert client.row(first)["tokens_out"] <= 21
    machine.sound()


def test_the_client_that_closes_its_output_ends_the_process_by_pipe() -> None:
    machine = Machine(BIG)
    client = machine.client()
    pid = client.run("ask")
    machine.clock.run_until(lambda: client.row(pid)["tokens_out"] == 20)
    steps = machine.kernel.hosts["fake"].steps
    client.call("close", pid=pid, fd=1)
    assert client.exited(pid) == {"ev": "exit", "pid": pid, "status": 141, "signal": 13, "reason": ""}
    machine.go(1)
    assert machine.kernel.hosts["fake"].steps <= steps + 1
    machine.sound()


def test_a_writer_that_ends_is_the_end_of_the_readers_input() -> None:
    machine = Machine(BIG, Script(b"one\ntwo"))
    client = machine.client()
    pipe = client.call("pipe")["id"]
    first = client.run("say", stdout=f"pipe:{pipe}")
    second = client.run("each", "", stdin=f"pipe:{pipe}")
    machine.clock.run_until(lambda: client.exited(second) is not None)
    assert [client.exited(pid)["status"] for pid in (first, second)] == [0, 0]  # type: ignore[index]  # both have ended
    assert bytes(client.out[second]) == b"one\none\n"


@pytest.mark.parametrize("number", [sig.KILL, sig.TERM])
def test_a_writer_that_is_killed_is_the_end_of_input_too(number: int) -> None:
    machine = Machine(BIG)
    client = machine.client()
    pipe = client.call("pipe")["id"]
    first = client.run("ask", stdout=f"pipe:{pipe}")
    second = client.run("each", "", stdin=f"pipe:{pipe}", params={"max_tokens": 4})
    machine.clock.run_until(lambda: client.row(first)["tokens_out"] == 20)
    client.post("kill", pid=first, sig=number)
    machine.clock.run_until(lambda: client.exited(second) is not None)
    assert client.exited(second)["status"] == 0  # type: ignore[index]  # the line before looked
    assert len(client.out[second]) > 1


@pytest.mark.parametrize("count", [3, 12])
def test_a_long_pipeline_comes_out_whole(count: int) -> None:
    job = Job("each", "", None, (("max_tokens", 5),))
    for _ in range(count - 2):
        job = Job("each", "", None, (("max_tokens", 5),), job)
    job = Job("each", "", b"a\nb\nc\nd\n" * 5, (("max_tokens", 5),), job)
    machine = Machine(Options(cells=600, context=300, sequences=4))
    client = machine.client()
    pids = job.start(client)
    machine.clock.run_until(lambda: all(map(client.exited, pids)))
    assert end_of(client, pids) == undisturbed(job, Options())
    assert len(client.out[pids[-1]].splitlines()) == 20
    machine.sound()


def test_both_ends_may_come_in_any_order_and_once() -> None:
    machine = Machine(BIG, Script(b"said"))
    client = machine.client()
    pipe = client.call("pipe")["id"]
    reader = client.run("each", "", stdin=f"pipe:{pipe}")
    with pytest.raises(Error, match="with that end free"):
        client.run("each", "", stdin=f"pipe:{pipe}")
    machine.go(1)
    assert client.row(reader)["wchan"] == "input"
    client.run("say", stdout=f"pipe:{pipe}")
    with pytest.raises(Error, match="with that end free"):
        client.run("say", stdout=f"pipe:{pipe}")
    machine.clock.run_until(lambda: client.exited(reader) is not None)
    assert client.out[reader] == b"said\n"


def test_a_writer_that_has_ended_before_its_reader_comes_left_its_bytes() -> None:
    machine = Machine(BIG, Script(b"said"))
    client = machine.client()
    pipe = client.call("pipe")["id"]
    writer = client.run("say", stdout=f"pipe:{pipe}")
    machine.clock.run_until(lambda: client.exited(writer) is not None)
    reader = client.run("each", "", stdin=f"pipe:{pipe}")
    machine.clock.run_until(lambda: client.exited(reader) is not None)
    assert client.out[reader] == b"said\n"


def test_a_writer_whose_reader_has_ended_before_is_told_first_that_it_is() -> None:
    machine = Machine(BIG)
    client = machine.client()
    pipe = client.call("pipe")["id"]
    reader = client.run("each", "", stdin=f"pipe:{pipe}")
    client.post("kill", pid=reader, sig=sig.KILL)
    client.events.clear()
    writer = client.run("say", stdout=f"pipe:{pipe}")
    assert [event["status"] for event in client.events if event["ev"] == "exit"] == [141]
    assert client.call("wait", pid=writer)["signal"] == sig.PIPE
    machine.go(1)
    machine.sound()


def test_pipes_belong_to_their_connection() -> None:
    machine = Machine()
    one, other = machine.client(), machine.client(pid=200, sid=200)
    pipe = one.call("pipe")["id"]
    with pytest.raises(Error) as caught:
        other.run("say", stdout=f"pipe:{pipe}")
    assert caught.value.code == "EBADF"
    one.close()
    assert machine.kernel.check() == []


def test_pipes_with_a_free_end_are_limited() -> None:
    client = Machine().client()
    for _ in range(256):
        client.call("pipe")
    with pytest.raises(Error) as caught:
        client.call("pipe")
    assert caught.value.code == "EAGAIN"
    assert client.call("check")["pipes"] == 256


def test_a_process_may_be_both_ends_and_waits_for_itself() -> None:
    machine = Machine()
    client = machine.client()
    pipe = client.call("pipe")["id"]
    pid = client.run("each", "", stdin=f"pipe:{pipe}", stdout=f"pipe:{pipe}")
    machine.go(5)
    assert client.row(pid)["wchan"] == "input"
    client.call("kill", pid=pid, sig=sig.KILL)
    machine.go(1)
    machine.sound()


# A client as the far end.


def test_a_client_that_does_not_read_is_a_full_pipe() -> None:
    machine = Machine(BIG, settings=Settings(strict=True, pipe_capacity=500))
    client = machine.client()
    client.reading = False
    pid = client.run("ask")
    machine.clock.run_until(lambda: client.row(pid)["wchan"] == "pipe")
    assert len(client.out[pid]) == client.row(pid)["tokens_out"] == 500
    client.read(pid, most=100)
    machine.go(5)
    assert client.row(pid)["tokens_out"] == 600
    machine.sound()


def test_a_connection_that_takes_nothing_is_a_full_pipe_too() -> None:
    machine = Machine(BIG, settings=Settings(strict=True, pipe_capacity=500))
    client = machine.client()
    client.writable = False
    pid = client.run("say")
    machine.go(30)
    assert (client.out.get(pid), client.exited(pid), client.row(pid)["stat"]) == (None, None, "Z")
    client.writable = True
    machine.kernel.drained(client)
    machine.go(1)
    assert client.exited(pid) is not None
    assert bytes(client.out[pid]) == undisturbed(Job("say", "hi"), BIG).out


def test_all_bytes_come_before_the_end() -> None:
    machine = Machine(BIG)
    client = machine.client()
    pid = client.run("say")
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    kinds = [event["ev"] for event in client.events]
    assert kinds.index("exit") == len(kinds) - 1
    assert kinds.count("out") > 1


def test_input_is_asked_for_only_when_it_is_wanted() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("say", "text", stdin="client")
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert pid not in client.wanted
    filter_pid = client.run("each", "", stdin="client")
    machine.go(1)
    assert client.wanted[filter_pid] > 0


def test_more_input_than_was_wanted_is_refused_and_changes_nothing() -> None:
    machine = Machine(settings=Settings(strict=True, pipe_capacity=300))
    client = machine.client()
    pid = client.run("each", "", stdin="client")
    machine.clock.run_until(lambda: pid in client.wanted)
    assert client.wanted[pid] <= 300
    with pytest.raises(Error) as caught:
        client.call("write", b"x" * 301, pid=pid, fd=0)
    assert caught.value.code == "EAGAIN"
    client.call("write", b"line\n", pid=pid, fd=0, eof=True)
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert bytes(client.out[pid]) == undisturbed(Job("each", given=b"line\n"), Options()).out


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"name": "write", "fd": 1}, "EBADF"),
        ({"name": "ack", "fd": 0, "n": 1}, "EBADF"),
        ({"name": "close", "fd": 0}, "EBADF"),
        ({"name": "write", "fd": 0}, "EBADF"),
    ],
)
def test_descriptors_that_do_not_lead_here(call: dict[str, object], code: str) -> None:
    machine = Machine()
    client, other = machine.client(), machine.client(pid=200)
    pid = client.run("ask")
    given: dict[str, Any] = {key: value for key, value in call.items() if key != "name"}
    with pytest.raises(Error) as caught:
        client.call(str(call["name"]), pid=pid, **given)
    assert caught.value.code == code
    with pytest.raises(Error) as caught:
        other.call(str(call["name"]), pid=pid, **given)
    assert caught.value.code == "EPERM"
    with pytest.raises(Error) as caught:
        other.call(str(call["name"]), pid=pid + 99, **given)
    assert caught.value.code == "ESRCH"


def test_more_acknowledged_than_sent_counts_for_nothing() -> None:
    machine = Machine(BIG, settings=Settings(strict=True, pipe_capacity=500))
    client = machine.client()
    client.reading = False
    pid = client.run("ask")
    machine.clock.run_until(lambda: client.row(pid)["wchan"] == "pipe")
    client.call("ack", pid=pid, fd=1, n=1 << 40)
    machine.go(10)
    assert client.row(pid)["tokens_out"] == 1000
    machine.sound()


def test_notes_that_nobody_reads_are_bounded() -> None:
    machine = Machine(Options(cells=100, context=60))
    client = machine.client()
    client.reading = False
    pid = client.run("each", "", stdin="client")
    # Every line is longer than the context and gets a note.
    line = b"x" * 90 + b"\n"
    for _ in range(3000):
        machine.clock.run_until(lambda: pid in client.wanted or client.row(pid)["wchan"] == "pipe")
        if pid not in client.wanted:
            break
        room = client.wanted.pop(pid) // len(line)
        client.call("write", line * room, pid=pid, fd=0)
    process = machine.kernel.table.get(pid)
    pipe = process.files[2].pipe
    assert pipe is not None
    assert len(pipe.buffer) + pipe.unacked <= 64 << 10
