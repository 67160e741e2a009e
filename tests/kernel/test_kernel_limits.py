"""Limits of a process and of a session: tokens, answers, context, seconds, bytes, how many."""

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import End, Job, undisturbed

PROMPT = len("<user>hi\n<assistant>")


def run(
    agent: str, given: bytes | None = None, text: str = "hi", options: Options | None = None, **params: object
) -> End:
    return undisturbed(Job(agent, text, given, tuple(params.items())), options or Options())


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 100])
def test_tokens_of_one_answer(count: int) -> None:
    end = run("ask", max_tokens=count)
    assert (end.statuses, len(end.out)) == ((0,), count + 1)


@pytest.mark.parametrize("count", [1, 17, 50])
def test_tokens_in_all(count: int) -> None:
    end = run("ask", tokens=count)
    assert (end.statuses, len(end.out)) == ((1,), count + 1)
    assert end.err == f"ask: limit of {count} tokens reached\n".encode()


def test_tokens_in_all_over_several_answers() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("each", "", stdin="client", params={"tokens": 30})
    client.give(pid, b"one\ntwo\nthree\nfour\nfive\n")
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert client.row(pid)["tokens_out"] == 30
    assert len(client.out[pid].splitlines()) in (2, 3)
    assert client.err[pid] == b"each: limit of 30 tokens reached\n"
    assert client.ends[pid]["status"] == 1


def test_tokens_in_all_that_suffice_are_no_failure() -> None:
    plain = run("say")
    assert run("say", tokens=len(plain.out) + 5) == plain
    assert plain.statuses == (0,)


def test_a_chat_that_may_say_no_more_ends() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("talk", "", stdin="client", params={"tokens": 5})
    client.give(pid, b"one\ntwo\n")
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    assert len(client.out[pid]) == 6
    assert (client.ends[pid]["status"], bytes(client.err[pid])) == (1, b"talk: limit of 5 tokens reached\n")


def test_the_smaller_of_two_limits_counts() -> None:
    assert len(run("ask", tokens=9, max_tokens=20).out) == 10
    long = run("ask", tokens=20, max_tokens=9)
    same = run("ask", tokens=9, max_tokens=9)
    assert (long.statuses, len(long.out), long.err) == ((0,), 10, b"")
    assert same == long


def test_a_context_that_is_full_is_status_1_and_one_line_with_both_numbers() -> None:
    end = run("ask", context=100)
    assert end.statuses == (1,)
    assert len(end.out) == 100 - PROMPT + 1
    assert (
        end.err
        == f"ask: answer cut: {PROMPT} tokens of input and {100 - PROMPT} of answer fill the context of 100\n".encode()
    )


def test_an_input_that_is_longer_than_the_context_is_status_1_and_one_line() -> None:
    end = run("ask", text="x" * 300, context=100)
    assert (end.statuses, end.out) == ((1,), b"")
    assert end.err.count(b"\n") == 1
    assert b"300 tokens" in end.err
    assert b"100" in end.err


@pytest.mark.parametrize("context", [1, 2, PROMPT - 1, PROMPT, PROMPT + 1])
def test_the_smallest_contexts(context: int) -> None:
    end = run("ask", context=context)
    assert end.statuses == (1,)
    assert len(end.out) <= 2
    assert end.err.count(b"\n") == 1


def test_the_context_of_a_process_cannot_be_longer_than_the_models() -> None:
    assert run("ask", context=10_000, options=Options(cells=200)) == run("ask", options=Options(cells=200))


def test_seconds_end_it_with_124() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("ask", params={"seconds": 2.5})
    machine.go(2.45)
    assert client.exited(pid) is None
    machine.go(0.1)
    assert client.exited(pid) == {"ev": "exit", "pid": pid, "status": 124, "signal": 0, "reason": "timed out"}
    assert len(client.out[pid]) > 300
    machine.sound()


@pytest.mark.parametrize("where", ["stopped", "input", "load"])
def test_seconds_count_wherever_it_is(where: str) -> None:
    machine = Machine(Options(start=60_000 if where == "load" else 5))
    client = machine.client()
    agent = "each" if where == "input" else "ask"
    pid = client.run(agent, "" if where == "input" else "hi", stdin="client", params={"seconds": 3})
    machine.go(1)
    if where == "stopped":
        client.post("kill", pid=pid, sig=sig.STOP)
    machine.go(2.1)
    assert client.exited(pid)["status"] == 124  # type: ignore[index]  # checked by the index itself


def test_seconds_of_one_that_ended_before_mean_nothing() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("say", params={"seconds": 3})
    machine.go(10)
    assert client.exited(pid)["status"] == 0  # type: ignore[index]  # checked by the index itself
    assert machine.clock.pending == 0


@pytest.mark.parametrize("count", [1, 40, 255])
def test_bytes_of_output(count: int) -> None:
    end = run("ask", output=count)
    assert end.statuses == (1,)
    assert len(end.out) <= count
    assert end.err == f"ask: output limit of {count} bytes reached\n".encode()


@pytest.mark.parametrize("token", [257, 1 << 30])
def test_a_bias_of_a_token_that_the_model_does_not_have(token: int) -> None:
    end = run("ask", given=b"unread", text="", logit_bias=f'{{"5": 1, "{token}": 1}}')
    assert (end.statuses, end.out) == ((2,), b"")
    assert end.err == f"ask: logit_bias: token {token}: expected 0 to 256, the model's tokens\n".encode()


def test_notes_do_not_count_as_output() -> None:
    end = run("each", given=b"x" * 500 + b"\n", text="", output=1, context=100)
    assert (end.statuses, end.out) == ((1,), b"\n")
    assert b"output limit" not in end.err


def test_processes_of_a_session() -> None:
    machine = Machine(settings=Settings(strict=True, nproc=5))
    client, other = machine.client(), machine.client(pid=200, sid=200)
    pids = [client.run("ask") for _ in range(5)]
    with pytest.raises(Error) as caught:
        client.run("ask")
    assert (caught.value.code, caught.value.detail) == ("EAGAIN", "session 100 has 5 processes already")
    # Another session has its own count; looking and killing need none.
    other.run("ask")
    assert len(client.call("ps")["rows"]) == 7
    client.post("kill", pid=pids[0], sig=sig.KILL)
    client.call("wait", pid=pids[0])
    client.run("ask")


def test_zombies_count_until_they_are_reaped() -> None:
    machine = Machine(settings=Settings(strict=True, nproc=1))
    client = machine.client()
    pid = client.run("say")
    machine.clock.run_until(lambda: client.exited(pid) is not None)
    with pytest.raises(Error):
        client.run("say")
    client.call("wait", pid=pid)
    client.run("say")


def test_four_thousand_processes() -> None:
    """Any number of processes: 256 sequences and the cells are the kernel's problem."""
    machine = Machine(Options(cells=60_000, context=1000, answer=4, ms=1.0, each=0.01))
    client: Client = machine.client()
    pids = [client.run("say", f"{n}") for n in range(4096)]
    with pytest.raises(Error, match="4096 processes"):
        client.run("say")
    machine.clock.run_until(lambda: len(client.ends) == len(pids))
    rows, after, more = [], 0, True
    while more:
        page = client.call("ps", after=after)
        rows += page["rows"]
        more, after = page["more"], page["rows"][-1]["pid"]
    assert [row["status"] for row in rows[1:]] == [0] * 4096
    machine.sound()
