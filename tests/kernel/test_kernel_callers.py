"""Connections: the greeting, calls and their answers, clients that vanish, what a process keeps of its caller."""

import random
from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.abi.limits import CLIENTS_MAX, CLIENTS_RESERVED, INIT
from llmsh.abi.syscalls import TABLE
from llmsh.abi.version import MAJOR, MINOR
from llmsh.abi.wire import encode
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from llmsh.kernel.trap import BEGINNINGS
from tests.support.machine import Client, Machine, Peer


class Stranger:
    """A connection that has not said hello."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.peer = Peer()
        self.writable = True
        self.sent: list[dict[str, Any]] = []
        self.closed = ""
        machine.kernel.connect(self)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        encode(head, body)
        self.sent.append(head)

    def close(self, reason: str) -> None:
        self.closed = reason
        self.machine.kernel.disconnect(self)

    def say(self, **head: Any) -> None:
        self.machine.kernel.trap(self, head, b"")


def test_the_first_call_is_hello() -> None:
    stranger = Stranger(Machine())
    stranger.say(id=1, call="ps")
    assert stranger.sent == [{"id": 1, "err": "EPROTO", "msg": "the first call must be hello"}]
    assert stranger.closed


def test_hello_says_who_is_there() -> None:
    stranger = Stranger(Machine())
    stranger.say(id=1, call="hello", args={"major": MAJOR, "minor": MINOR, "build": "test"})
    assert {key: stranger.sent[0]["ok"][key] for key in ("major", "minor")} == {"major": MAJOR, "minor": MINOR}
    assert set(stranger.sent[0]["ok"]) == set(TABLE["hello"].result)


def test_another_major_version_is_told_what_to_do_and_let_go() -> None:
    stranger = Stranger(Machine())
    stranger.say(id=1, call="hello", args={"major": MAJOR + 1})
    assert stranger.sent[0]["err"] == "EVERSION"
    assert "llmsh daemon restart" in stranger.sent[0]["msg"]
    assert stranger.closed


@pytest.mark.parametrize("ident", [-1, 1 << 53, "1", None, 1.5, True, [1]])
def test_an_id_is_a_number_or_the_end(ident: Any) -> None:
    stranger = Stranger(Machine())
    stranger.say(id=ident, call="hello", args={"major": MAJOR})
    assert stranger.closed
    # What else was in the same read is not heard.
    stranger.say(id=1, call="hello", args={"major": MAJOR})
    assert stranger.sent == []


def test_no_answer_is_wanted_where_the_id_is_0() -> None:
    machine = Machine()
    client = machine.client()
    before = len(client.replies)
    machine.kernel.trap(client, {"id": 0, "call": "null"}, b"")
    machine.kernel.trap(client, {"call": "null"}, b"")
    machine.kernel.trap(client, {"id": 0, "call": "nonsense"}, b"")
    assert len(client.replies) == before


@pytest.mark.parametrize(
    ("call", "args", "body", "code"),
    [
        ("nonsense", {}, b"", "ENOSYS"),
        ("null", {"x": 1}, b"", "EINVAL"),
        ("null", [], b"", "EINVAL"),
        ("null", {}, b"body", "EINVAL"),
        ("run", {"agent": "nobody"}, b"", "ENOENT"),
        ("run", {"agent": "say", "model": "llama"}, b"", "ENODEV"),
        ("run", {"agent": "say", "stdin": "pipe"}, b"", "EINVAL"),
        ("run", {"agent": "say", "stdin": "pipe:x"}, b"", "EBADF"),
        ("run", {"agent": "say", "stdin": "pipe:\u0661"}, b"", "EBADF"),
        ("run", {"agent": "say", "stdin": "null:1"}, b"", "EINVAL"),
        ("run", {"agent": "say", "stdout": "pipe:1"}, b"", "EBADF"),
        ("run", {"agent": "say", "stderr": "pipe:1"}, b"", "EINVAL"),
        ("run", {"agent": "say", "detach": True}, b"", "EINVAL"),
        ("run", {"agent": "say", "pgid": 4242}, b"", "EPERM"),
        ("run", {"agent": "say", "options": {"colour": "red"}}, b"", "EINVAL"),
        ("run", {"agent": "say", "params": {"colour": "red"}}, b"", "EINVAL"),
        ("renice", {"pid": 77, "nice": 1}, b"", "ESRCH"),
        ("fork", {"pid": 77}, b"", "ESRCH"),
        ("fork", {"pid": INIT}, b"", "ESRCH"),
        ("renice", {"pid": INIT, "nice": 1}, b"", "EPERM"),
        ("setpgid", {"pid": 77, "pgid": 0}, b"", "ESRCH"),
        ("foreground", {"pgid": 77}, b"", "ESRCH"),
        ("logs", {"pid": 77}, b"", "ENOENT"),
        ("unload", {"model": "fake:none"}, b"", "ENODEV"),
        ("load", {"model": "llama"}, b"", "ENODEV"),
        ("sched", {"policy": "lottery"}, b"", "EINVAL"),
        ("shutdown", {}, b"", "ENOSYS"),
    ],
)
def test_errors_have_a_name_and_change_nothing(call: str, args: Any, body: bytes, code: str) -> None:
    machine = Machine()
    client = machine.client()
    machine.kernel.trap(client, {"id": 7, "call": call, "args": args}, body)
    assert client.replies[7][0]["err"] == code
    assert len(machine.kernel.table) == 0
    assert client.call("check")["faults"] == []
    assert client.closed == ""


def test_the_answers_have_the_fields_of_the_table() -> None:
    machine = Machine()
    client = machine.client(tty="pts/1")
    pid = client.run("say")
    reader = client.run("each", "", stdin="client")
    detached = client.run("say", detach=True, stdout="log", stderr="log")
    machine.go(2)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("null", {}), ("pipe", {}), ("write", {"pid": reader, "fd": 0}), ("ack", {"pid": reader, "fd": 1, "n": 0}),
        ("kill", {"pid": pid, "sig": 0}), ("renice", {"pid": reader, "nice": 1}), ("ps", {}), ("uptime", {}),
        ("limit", {"pid": reader}),
        ("setpgid", {"pid": reader, "pgid": 0}), ("foreground", {"pgid": reader}), ("logs", {"pid": detached}),
        ("dmesg", {}), ("free", {}), ("lsdev", {}), ("load", {"model": "fake"}), ("sched", {}), ("check", {}),
        ("close", {"pid": reader, "fd": 0}), ("wait", {"pid": pid}), ("purge", {}), ("vmstat", {}),
    ]  # fmt: skip
    for name, args in calls:
        assert set(client.call(name, **args)) == set(TABLE[name].result), name
    assert client.replies[client.post("run", agent="say", model="fake")][0]["ok"].keys() == set(TABLE["run"].result)
    machine.go(2)
    # The rest has no result, or is another test's.
    assert {name for name, _ in calls} | {"hello", "run", "fork", "unload", "shutdown"} == set(TABLE)


def test_calls_that_wait_are_limited() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("ask")
    calls = [client.post("wait", pid=pid) for _ in range(1100)]
    assert sum(call in client.replies for call in calls) == 1100 - 1024
    assert client.replies[calls[-1]][0]["err"] == "EAGAIN"
    client.post("kill", pid=pid, sig=sig.KILL)
    # The connection is as good as new.
    client.close()
    machine.go(1)
    assert len(machine.kernel.table) == 0


def test_clients_are_limited() -> None:
    machine = Machine()
    clients = [machine.client() for _ in range(CLIENTS_MAX)]
    pid = clients[0].run("ask")
    spare = [machine.client() for _ in range(CLIENTS_RESERVED)]
    with pytest.raises(Error, match="544 clients"):
        machine.client()
    needs: dict[str, dict[str, Any]] = {"run": {"agent": "ask"}, "fork": {"pid": pid}, "load": {"model": "x"}}
    for call in BEGINNINGS:
        with pytest.raises(Error, match="512 clients") as refused:
            spare[0].call(call, **needs.get(call, {}))
        assert refused.value.code == "EAGAIN"
    assert spare[0].row(pid)["agent"] == "ask"
    spare[0].call("kill", pid=pid, sig=sig.KILL)
    for client in [*clients[:CLIENTS_RESERVED], *spare[1:]]:
        client.close()
    assert spare[0].run("ask"), "there is room by now"


# Clients that vanish.


@pytest.mark.parametrize("stop", [False, True])
def test_a_client_that_vanishes_takes_its_processes_along_and_leaves_the_detached(stop: bool) -> None:
    machine = Machine()
    client, other = machine.client(), machine.client(pid=200)
    client.reading = False
    pids = [client.run("ask"), client.run("each", "", stdin="client"), client.run("say")]
    detached = client.run("say", "kept", detach=True, stdout="log", stderr="log")
    other_pid = other.run("say", "kept")
    machine.go(0.1)
    if stop:
        for pid in pids:
            client.post("kill", pid=pid, sig=sig.STOP)
    client.close()
    machine.go(5)
    assert [other.call("wait", pid=pid)["status"] for pid in pids[:2]] == [129, 129]
    assert other.call("wait", pid=detached)["status"] == 0
    assert bytes(machine.memory.texts[detached]) == bytes(other.out[other_pid])
    assert [process.pid for process in machine.kernel.table] == [other_pid]
    machine.sound()


def test_what_waits_for_a_client_that_vanishes_is_forgotten() -> None:
    machine = Machine()
    client, other = machine.client(), machine.client(pid=200)
    pid = other.run("ask")
    client.post("wait", pid=pid)
    client.post("dmesg", after=1 << 40, follow=True)
    client.post("load", model="fake:start=100")
    client.call("pipe")
    client.close()
    machine.go(1)
    other.post("kill", pid=pid, sig=sig.KILL)
    machine.kernel.say("a line")
    machine.go(1)
    assert other.call("check")["pipes"] == 0
    machine.sound()


def test_two_hundred_clients_come_run_read_and_vanish_at_random(rng: random.Random) -> None:
    machine = Machine(Options(cells=3000, context=500, sequences=32), settings=Settings(strict=True, pipe_capacity=300))
    clients: list[Client] = []
    peers = 0
    for _ in range(1500):
        if len(clients) < 200:
            peers += 1
            clients.append(machine.client(pid=1000 + peers, sid=1000 + peers % 20))
        client = rng.choice(clients)
        move = rng.randrange(12)
        pids = sorted(machine.kernel.callers[client].pids)
        if move < 4:
            agent = rng.choice(("say", "ask", "each", "sort", "talk"))
            client.run(agent, f"{peers}", params={"max_tokens": rng.randint(1, 60)} if agent != "sort" else {})
        elif move == 4:
            client.reading = not client.reading
        elif move == 5 and pids:
            client.post("kill", pid=rng.choice(pids), sig=rng.choice(sorted(sig.SIGNALS)))
        elif move == 6 and pids:
            client.post("wait", pid=rng.choice([-1, *pids]), timeout_ms=rng.choice((-1, 0, 50)))
        elif move == 7:
            client.post("ps")
        elif move == 8:
            client.close()
            clients.remove(client)
        else:
            machine.go(rng.random() / 20)
    machine.sound()
    for client in clients:
        client.close()
    machine.go(5)
    assert (len(machine.kernel.table), machine.kernel.callers) == (0, {})
    assert machine.kernel.hosts["fake"].held == 0
    assert not machine.kernel.hosts["fake"].busy
    machine.sound()


# What a process keeps of its caller, and what it does not.


def test_what_is_kept_of_the_caller() -> None:
    machine = Machine()
    client = machine.client(pid=321, sid=300, tty="pts/7")
    pid = client.run("ask", "a b", cwd="/srv", umask=0o22, env={"LANG": "C", "SECRET": "x", "COLUMNS": 80}, nice=3)
    process = machine.kernel.table.get(pid)
    assert (process.cwd, process.umask, process.env) == ("/srv", 0o22, {"LANG": "C", "COLUMNS": "80"})
    row = client.row(pid)
    wanted = {"ppid": 321, "sid": 300, "tty": "pts/7", "nice": 3, "agent": "ask", "model": "fake", "args": "ask a b"}
    assert {key: row[key] for key in wanted} == wanted


def test_the_model_is_the_callers_then_the_units_then_the_environments_then_the_settings() -> None:
    machine = Machine(settings=Settings(strict=True, model="fake:ms=1"))
    client = machine.client()
    call: dict[str, Any] = {"agent": "ask", "env": {"LLMSH_MODEL": "fake:ms=2"}}
    pids = [client.call("run", **call, model="fake:ms=3")["pid"], client.call("run", **call)["pid"]]
    pids.append(client.call("run", agent="ask")["pid"])
    assert [client.row(pid)["model"] for pid in pids] == ["fake:ms=3", "fake:ms=2", "fake:ms=1"]


def test_groups_stay_within_a_session() -> None:
    machine = Machine()
    client, other = machine.client(), machine.client(pid=200, sid=200)
    mine, theirs = client.run("ask"), other.run("ask")
    for wrong in (theirs, 4242):
        with pytest.raises(Error):
            client.call("setpgid", pid=mine, pgid=wrong)
    with pytest.raises(Error):
        client.run("ask", pgid=theirs)
    second = client.run("ask", pgid=mine)
    assert client.row(second)["pgid"] == mine
    assert client.call("setpgid", pid=second, pgid=0) == {"pgid": second}
    machine.sound()
