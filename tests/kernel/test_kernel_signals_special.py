"""Signals that mean something of their own: INT in a chat, TERM and its grace, groups, the terminal."""

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, undisturbed

TTY = (("tty", True),)


def chat(machine: Machine) -> tuple[Client, int]:
    client = machine.client(tty="pts/1")
    pid = client.run("talk", "", stdin="client", params={"tty": True})
    machine.clock.run_until(lambda: pid in client.wanted)
    return client, pid


def say(client: Client, pid: int, line: bytes) -> None:
    assert client.wanted.pop(pid) >= len(line)
    client.call("write", line, pid=pid, fd=0)


def test_int_ends_the_answer_of_a_chat_and_not_the_chat() -> None:
    machine = Machine(Options(answer=200))
    client, pid = chat(machine)
    say(client, pid, b"hello\n")
    machine.clock.run_until(lambda: client.row(pid)["tokens_out"] == 9)
    client.call("kill", pid=pid, sig=sig.INT)
    machine.clock.run_until(lambda: pid in client.wanted)
    first = bytes(client.out[pid])
    whole = undisturbed(Job("talk", given=b"hello\n"), Options(answer=200)).out
    assert whole.startswith(first.removesuffix(b"\n"))
    assert 9 <= len(first) - 1 <= 11
    say(client, pid, b"again\n")
    machine.clock.run_until(lambda: len(client.out[pid]) > len(first) + 5)
    assert client.exited(pid) is None
    client.call("write", b"", pid=pid, fd=0, eof=True)
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert client.exited(pid)["status"] == 0  # type: ignore[index]  # the line before looked
    machine.sound()


@pytest.mark.parametrize("tokens_in", [0, 5])
def test_int_ends_an_answer_that_has_not_begun(tokens_in: int) -> None:
    """Between the line and the first token the answer is rendered, queued and prefilled."""
    machine = Machine(Options(prefill=50.0, control=100))
    client, pid = chat(machine)
    say(client, pid, b"hello, hello\n")
    if tokens_in:
        machine.clock.run_until(lambda: client.row(pid)["tokens_in"] >= tokens_in)
    assert client.row(pid)["tokens_out"] == 0
    client.call("kill", pid=pid, sig=sig.INT)
    machine.clock.run_until(lambda: pid in client.wanted)
    assert (client.out.get(pid, b""), client.row(pid)["tokens_out"]) == (b"\n", 0)
    machine.sound()


def test_int_at_the_prompt_of_a_chat_clears_the_line() -> None:
    machine = Machine()
    client, pid = chat(machine)
    say(client, pid, b"half a li")
    machine.clock.run_until(lambda: pid in client.wanted)
    client.call("kill", pid=pid, sig=sig.INT)
    machine.clock.run_until(lambda: pid in client.wanted)
    say(client, pid, b"whole\n")
    machine.clock.run_until(lambda: pid in client.wanted)
    assert bytes(client.out[pid]) == undisturbed(Job("talk", given=b"whole\n"), Options()).out


def test_int_without_a_terminal_ends_a_chat_that_reads() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("talk", "", stdin="client")
    machine.clock.run_until(lambda: pid in client.wanted)
    client.call("kill", pid=pid, sig=sig.INT)
    machine.go(0.1)
    assert client.exited(pid)["status"] == 130  # type: ignore[index]  # checked by the index itself


def test_term_lets_out_what_was_made() -> None:
    machine = Machine(Options(answer=400))
    client = machine.client()
    # A long stop string holds the last bytes back.
    pid = client.run("say", params={"stop": '["' + "zzzz" * 10 + '"]'})
    machine.clock.run_until(lambda: client.row(pid)["tokens_out"] == 30)
    client.call("kill", pid=pid, sig=sig.TERM)
    machine.go(0.2)
    assert client.exited(pid) == {"ev": "exit", "pid": pid, "status": 143, "signal": 15, "reason": ""}
    assert len(client.out[pid]) in (30, 31)


def test_kill_follows_term_after_the_grace() -> None:
    machine = Machine(settings=Settings(strict=True, grace_s=3))
    client = machine.client()
    pid = client.run("ask")
    machine.clock.run_until(lambda: client.row(pid)["tokens_out"] > 3)
    machine.device.hang()
    client.post("kill", pid=pid, sig=sig.TERM)
    machine.go(2.9)
    assert client.exited(pid) is None
    machine.go(0.2)
    assert client.exited(pid)["signal"] == sig.KILL  # type: ignore[index]  # checked by the index itself
    machine.sound()


def test_the_first_cause_is_the_status() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("ask", params={"seconds": 0.1})
    machine.clock.run_until(lambda: client.row(pid)["tokens_out"] > 3)
    client.post("kill", pid=pid, sig=sig.TERM)
    client.post("kill", pid=pid, sig=sig.TERM)
    machine.go(1)
    assert client.exited(pid)["status"] == 143  # type: ignore[index]  # checked by the index itself


def test_a_group_hears_together_and_each_member_is_counted() -> None:
    machine = Machine()
    client = machine.client()
    leader = client.run("ask")
    members = [leader, *(client.run("ask", pgid=leader) for _ in range(4))]
    alone = client.run("ask")
    machine.go(0.2)
    call = client.post("kill", pid=-leader, sig=sig.STOP)
    machine.go(0.2)
    assert client.answer(call) == {"sent": 5}
    assert [client.row(pid)["stat"] for pid in [*members, alone]] == ["T"] * 5 + ["R"]
    assert client.call("kill", pid=-leader, sig=sig.KILL) == {"sent": 5}
    machine.go(0.2)
    assert [bool(client.exited(pid)) for pid in [*members, alone]] == [True] * 5 + [False]
    machine.sound()


@pytest.mark.parametrize(
    ("pid", "number", "code"),
    [(99, 9, "ESRCH"), (-99, 9, "ESRCH"), (1, 9, "EPERM"), (0, 9, "EINVAL"), (None, 33, "EINVAL")],
)
def test_who_cannot_be_signalled(pid: int | None, number: int, code: str) -> None:
    machine = Machine()
    client = machine.client()
    mine = client.run("ask")
    with pytest.raises(Error) as caught:
        client.call("kill", pid=pid if pid is not None else mine, sig=number)
    assert caught.value.code == code


def test_a_zombie_takes_every_signal_and_does_nothing() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("say")
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    for number in sig.SIGNALS:
        assert client.call("kill", pid=pid, sig=number) == {"sent": 1}
    assert client.row(pid)["stat"] == "Z"


def test_killed_before_it_is_accepted() -> None:
    """Pids can be guessed: a signal may come while the journal is still being written."""
    machine = Machine()
    machine.memory.delay(machine.clock, 0.01)
    client, other = machine.client(), machine.client(pid=200, sid=200)
    call = client.post("run", agent="say", args=["x"], model="fake")
    pid = machine.kernel.table.last
    assert other.call("kill", pid=pid, sig=sig.KILL) == {"sent": 1}
    machine.go(1)
    assert client.answer(call)["pid"] == pid
    assert client.exited(pid) == {"ev": "exit", "pid": pid, "status": 137, "signal": 9, "reason": ""}
    assert len(machine.kernel.table) == 0
    machine.sound()


def test_stopped_before_it_is_accepted() -> None:
    machine = Machine()
    machine.memory.delay(machine.clock, 0.01)
    client = machine.client()
    client.post("run", agent="say", args=["x"], model="fake")
    pid = machine.kernel.table.last
    client.call("kill", pid=pid, sig=sig.STOP)
    machine.go(5)
    assert client.row(pid)["stat"] == "T"
    client.call("kill", pid=pid, sig=sig.CONT)
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert bytes(client.out[pid]) == undisturbed(Job("say", "x"), Options()).out


def test_a_stopped_client_is_continued_with_its_agent() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("ask")
    machine.go(0.1)
    client.post("kill", pid=pid, sig=sig.TSTP)
    machine.go(0.1)
    client.peer.held = True
    machine.client(pid=300).call("kill", pid=pid, sig=sig.CONT)
    assert (client.peer.continued, client.peer.held) == (1, False)


def test_minus_one_is_every_process() -> None:
    machine = Machine(Options(answer=10_000))
    client = machine.client()
    pids = [client.run("say") for _ in range(3)]
    machine.go(1)
    assert client.call("kill", pid=-1, sig=sig.KILL) == {"sent": 3}
    machine.go(1)
    assert [(client.exited(pid) or {}).get("status") for pid in pids] == [137] * 3
    with pytest.raises(Error, match="no process"):
        client.call("kill", pid=-1, sig=sig.KILL)


def test_a_client_that_stops_with_its_agent_soon_after_both_went_on_is_left_alone() -> None:
    """Ctrl-Z, fg, Ctrl-Z: the second one holds as well."""
    machine = Machine(Options(answer=10_000))
    client = machine.client()
    pid = client.run("say")
    machine.go(1)
    for number in (sig.TSTP, sig.CONT, sig.TSTP):
        client.post("kill", pid=pid, sig=number)
        machine.go(0.05)
    client.peer.held = True
    machine.go(1)
    assert (client.peer.held, client.peer.continued) == (True, 0)
    client.post("kill", pid=pid, sig=sig.CONT)
    assert not client.peer.held


def test_a_client_whose_other_agents_are_stopped_stays_so() -> None:
    machine = Machine(Options(answer=10_000))
    client = machine.client()
    first, second = (client.run("say") for _ in range(2))
    machine.go(1)
    for pid in (first, second):
        client.post("kill", pid=pid, sig=sig.STOP)
    machine.go(0.1)
    client.peer.held = True
    client.post("kill", pid=first, sig=sig.KILL)
    machine.go(1)
    assert client.peer.held
    client.post("kill", pid=second, sig=sig.KILL)
    machine.go(1)
    assert not client.peer.held


@pytest.mark.parametrize("number", [sig.CONT, sig.KILL])
def test_a_client_that_stops_a_moment_after_its_agent_went_on_or_died_is_continued(number: int) -> None:
    machine = Machine(Options(answer=10_000))
    client = machine.client()
    pid = client.run("say")
    machine.go(1)
    client.post("kill", pid=pid, sig=sig.STOP)
    machine.go(0.1)
    client.post("kill", pid=pid, sig=number)
    machine.go(0.15)
    client.peer.held = True
    machine.go(1)
    assert (client.peer.held, client.peer.continued) == (False, 1)
