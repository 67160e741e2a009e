"""Models under one limit of bytes: who is loaded, who waits, who goes, and that nobody loses by it."""

from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.drivers.fakecore import Options
from llmsh.kernel.settings import Settings
from tests.support.machine import Client, Machine
from tests.support.undisturbed import Job, end_of, undisturbed

KIB = 1 << 10
OPTIONS = Options(cells=1000, context=1000, ms=40.0, start=500.0, weights=3000)
"""4,000 KiB each: 1,000 of them are cells."""
SIZE = 4000 * KIB
PLAIN = OPTIONS._replace(start=5.0)


def machine(models: float, **more: Any) -> Machine:
    """With room for so many models."""
    return Machine(OPTIONS, settings=Settings(strict=True, memory=int(models * SIZE), **more))


def states(client: Client) -> dict[str, str]:
    return {row["model"]: row["state"] for row in client.call("lsdev")["rows"]}


def end(machine: Machine, client: Client, pids: list[int]) -> None:
    machine.clock.run_until(lambda: all(map(client.exited, pids)))


def bounded(machine: Machine) -> None:
    """Engines that are there never take more than the limit."""
    there = sum(device.alive for device in machine.devices.values())
    assert there * SIZE <= machine.kernel.settings.memory


def test_what_is_loaded_is_counted_in_bytes() -> None:
    m = machine(3)
    client = m.client()
    client.run("say", model="fake:a")
    m.go(1)
    assert m.kernel.models.used == SIZE
    assert client.call("lsdev")["rows"][0]["bytes"] == SIZE
    client.run("say", model="fake:b")
    m.go(1)
    assert m.kernel.models.used == 2 * SIZE


def test_the_cells_of_deterministic_processes_count_while_there_are_such() -> None:
    """They are in a cache of their own, of 1,000 KiB here. Who has nothing to do makes room for it."""
    m = machine(2)
    client = m.client()
    idle = client.run("say", model="fake:a")
    m.clock.run_until(lambda: client.exited(idle) is not None)
    other = client.run("say", model="fake:b")
    m.clock.run_until(lambda: client.exited(other) is not None)
    m.go(1)
    assert m.kernel.models.used == 2 * SIZE
    pid = client.run("ask", model="fake:b", params={"deterministic": True, "max_tokens": 30})
    m.clock.run_until(lambda: client.row(pid)["tokens_out"] > 2)
    assert states(client) == {"fake:a": "out", "fake:b": "ready"}
    assert m.kernel.models.used == SIZE + 1000 * KIB
    assert [row["bytes"] for row in client.call("lsdev")["rows"] if row["model"] == "fake:b"] == [SIZE + 1000 * KIB]
    m.clock.run_until(lambda: client.exited(pid) is not None)
    m.go(1)
    assert m.kernel.models.used == SIZE
    m.sound()


def test_a_model_that_alone_does_not_fit_is_refused_at_once_with_both_sizes() -> None:
    m = Machine(OPTIONS, settings=Settings(strict=True, memory=2000 * KIB))
    client = m.client()
    for name in ("run", "load"):
        with pytest.raises(Error) as caught:
            client.run("say") if name == "run" else client.call("load", model="fake")
        assert caught.value.code == "ENOMEM"
        assert str(3000 * KIB) in caught.value.detail
        assert str(2000 * KIB) in caught.value.detail
    assert states(client) == {}
    m.sound()


def test_a_model_that_turns_out_too_large_is_given_up() -> None:
    m = Machine(OPTIONS, settings=Settings(strict=True, memory=3500 * KIB))
    client = m.client()
    pid = client.run("say")
    m.go(2)
    ended = client.exited(pid)
    assert ended is not None
    assert ended["status"] == 1
    assert str(3500 * KIB) in ended["reason"]
    late = client.post("load", model="fake:b")
    m.go(2)
    with pytest.raises(Error, match=str(3500 * KIB)) as told:
        client.answer(late)
    assert told.value.code == "ENOMEM"
    with pytest.raises(Error) as caught:
        client.run("say")
    assert caught.value.code == "ENOMEM"
    m.sound()


def test_the_least_recently_used_goes() -> None:
    m = machine(2)
    client = m.client()
    for model in ("fake:a", "fake:b", "fake:a", "fake:c"):
        end(m, client, [client.run("say", model=model)])
        bounded(m)
        m.go(1)
    assert states(client) == {"fake:a": "ready", "fake:b": "out", "fake:c": "ready"}
    end(m, client, [client.run("say", model="fake:b")])
    assert states(client) == {"fake:a": "out", "fake:b": "ready", "fake:c": "ready"}
    assert "fake:a: leaves memory, others need it" in m.lines()
    m.sound()


def test_who_waits_for_input_sleeps_through_and_goes_on() -> None:
    m = machine(1)
    client = m.client()
    chat = client.run("talk", "", stdin="client", model="fake:a", params={"max_tokens": 5})
    m.clock.run_until(lambda: chat in client.wanted)
    client.wanted.clear()
    client.call("write", b"hello\n", pid=chat, fd=0)
    m.clock.run_until(lambda: chat in client.wanted)
    m.go(1)
    other = client.run("say", model="fake:b")
    end(m, client, [other])
    assert states(client) == {"fake:a": "out", "fake:b": "ready"}
    row = client.row(chat)
    assert (row["stat"], row["rss"], row["core"]) == ("S", 0, -1)
    with pytest.raises(Error) as caught:
        client.call("unload", model="fake:a")
    assert caught.value.code == "EBUSY"
    del client.wanted[chat]
    client.call("write", b"you\n", pid=chat, fd=0, eof=True)
    m.go(0.1)
    assert client.row(chat)["stat"] == "D"
    end(m, client, [chat])
    m.sound()
    job = Job("talk", given=b"hello\nyou\n", params=(("max_tokens", 5),))
    assert bytes(client.out[chat]) == undisturbed(job, PLAIN).out


def test_who_needs_a_model_that_is_out_waits_for_it_in_state_d() -> None:
    m = machine(1)
    client = m.client()
    runs = client.run("ask", model="fake:a")
    m.go(2)
    waits = client.run("say", model="fake:b")
    m.go(1)
    assert (client.row(waits)["stat"], client.row(waits)["wchan"]) == ("D", "load")
    assert states(client) == {"fake:a": "ready", "fake:b": "waiting"}
    m.clock.run_until(lambda: states(client)["fake:b"] == "ready")
    m.go(0.2)
    assert (client.row(runs)["stat"], client.row(runs)["wchan"]) == ("D", "load")
    end(m, client, [waits])
    before = client.row(runs)["tokens_out"]
    m.go(3)
    assert client.row(runs)["tokens_out"] > before
    m.sound()


def test_requests_for_a_model_are_gathered_and_nobody_waits_longer_than_the_bound() -> None:
    """Two models of which only one fits, and jobs for both that come by turns."""
    m = machine(1, model_turn_s=5.0, model_wait_s=12.0)
    client = m.client()
    jobs = [Job("say", f"job {n}") for n in range(20)]
    pids: list[int] = []
    longest: dict[int, float] = {}
    since: dict[int, float] = {}

    def watch() -> None:
        bounded(m)
        for row in client.call("ps")["rows"]:
            if row["stat"] == "D" and row["wchan"] == "load":
                start = since.setdefault(row["pid"], m.clock.now())
                longest[row["pid"]] = max(longest.get(row["pid"], 0), m.clock.now() - start)
            else:
                since.pop(row["pid"], None)

    for n, job in enumerate(jobs):
        pids += job.start(client, model=f"fake:{'ab'[n % 2]}")
        for _ in range(2):
            m.go(0.15)
            watch()
    while not all(map(client.exited, pids)):
        m.go(0.15)
        watch()
    m.sound()
    assert m.kernel.models.loads <= 6
    assert max(longest.values()) <= 12
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, PLAIN) for job in jobs]


def test_two_that_are_always_busy_take_turns_of_seconds() -> None:
    m = machine(1, model_turn_s=5.0, model_wait_s=12.0)
    client = m.client()
    pids = [client.run("ask", model="fake:a"), client.run("ask", model="fake:b")]
    last, longest = [0, 0], 0.0
    since = [m.clock.now()] * 2
    for _ in range(240):
        m.go(0.25)
        bounded(m)
        for index, pid in enumerate(pids):
            count = client.row(pid)["tokens_out"]
            if count > last[index]:
                last[index], since[index] = count, m.clock.now()
            longest = max(longest, m.clock.now() - since[index])
    assert 60 / 6 - 1 <= m.kernel.models.loads <= 60 / 5 + 1
    assert 5 <= longest <= 12
    m.sound()


def test_nobody_waits_longer_than_the_bound_for_a_turn_that_is_longer() -> None:
    m = machine(1, model_turn_s=1000.0, model_wait_s=10.0)
    client = m.client()
    client.run("ask", model="fake:a")
    m.go(3)
    waits = client.run("ask", model="fake:b")
    m.go(7)
    assert client.row(waits)["tokens_out"] == 0
    m.go(3)
    assert client.row(waits)["tokens_out"] > 0


def test_texts_are_those_of_undisturbed_runs_though_models_come_and_go() -> None:
    m = machine(1, model_turn_s=1.0, model_wait_s=2.0)
    client = m.client()
    jobs = [
        Job("say", "one"),
        Job("each", given=b"a\nb\nc\nd"),
        Job("sort", "good day"),
        Job("say", "e" * 300, None, (("deterministic", True),)),
        Job("say", "source", into=Job("each")),
        Job("ask", "x" * 100, None, (("max_tokens", 150),)),
        Job("ask", "y" * 100, None, (("max_tokens", 150),)),
    ]
    pids = [job.start(client, model=f"fake:{n % 2}") for n, job in enumerate(jobs)]
    while not all(client.exited(pid) for started in pids for pid in started):
        m.go(0.1)
        bounded(m)
        m.sound()
    assert m.kernel.models.loads > 3
    assert [end_of(client, started) for started in pids] == [undisturbed(job, PLAIN) for job in jobs]


def test_a_pipeline_over_two_models_that_do_not_fit_together_comes_to_its_end() -> None:
    m = machine(1, model_turn_s=1.0)
    client = m.client()
    pipe = client.call("pipe", capacity=256)["id"]
    first = client.run("say", "source", model="fake:a", stdout=f"pipe:{pipe}")
    second = client.run("each", "", model="fake:b", stdin=f"pipe:{pipe}", pgid=first)
    end(m, client, [first, second])
    assert bytes(client.out[second]) == undisturbed(Job("say", "source", into=Job("each")), PLAIN).out
    m.sound()


def test_killed_while_it_waits_for_memory() -> None:
    m = machine(1)
    client = m.client()
    runs = client.run("ask", model="fake:a")
    m.go(2)
    waits = client.run("say", model="fake:b")
    m.go(1)
    client.post("kill", pid=waits, sig=sig.KILL)
    m.go(0.1)
    assert client.exited(waits) is not None
    m.go(15)
    assert states(client)["fake:a"] == "ready"
    assert client.row(runs)["stat"] == "R"
    m.sound()


def test_a_loaded_model_is_unloaded_for_another_that_was_asked_for() -> None:
    m = machine(1)
    client = m.client()
    first = client.post("load", model="fake:a")
    m.go(1)
    second = client.post("load", model="fake:b")
    m.go(2)
    assert client.answer(first) == {"name": "fake:a"}
    assert client.answer(second) == {"name": "fake:b"}
    assert states(client) == {"fake:a": "out", "fake:b": "ready"}
    client.call("unload", model="fake:a")
    assert states(client) == {"fake:b": "ready"}
    m.sound()


def test_an_engine_that_dies_on_its_way_out_is_out() -> None:
    m = machine(1, model_turn_s=1.0)
    client = m.client()
    jobs = [Job("ask", "x", None, (("max_tokens", 200),)) for _ in range(2)]
    pids = [job.start(client, model=f"fake:{n}")[0] for n, job in enumerate(jobs)]
    m.clock.run_until(lambda: m.kernel.hosts["fake:0"].leaving)
    m.devices["fake:0"].crash()
    end(m, client, pids)
    m.sound()
    assert [end_of(client, [pid]) for pid in pids] == [undisturbed(job, PLAIN) for job in jobs]


def test_the_daemon_stops_while_models_wait() -> None:
    m = machine(1)
    client = m.client()
    client.run("ask", model="fake:a")
    client.run("ask", model="fake:b")
    m.go(2)
    done: list[bool] = []
    m.kernel.shutdown(2.0, lambda: done.append(True))
    m.go(5)
    assert done == [True]
    assert not any(device.alive for device in m.devices.values())


@pytest.mark.parametrize("after", range(12))
def test_whatever_happens_to_an_engine_on_its_way_out_nobody_hangs(after: int) -> None:
    """Tokens, requests and the end of an engine meet in many orders."""
    m = machine(1, model_turn_s=1.0, model_wait_s=2.0)
    client = m.client()
    jobs = [Job("each", given=b"a\nb\nc"), Job("each", given=b"d\ne"), Job("sort", "good day"), Job("say", "end")]
    pids = [job.start(client, model=f"fake:{n % 2}") for n, job in enumerate(jobs)]
    m.clock.run_until(lambda: m.kernel.hosts["fake:0"].leaving)
    for _ in range(after):
        m.clock.step()
    m.devices["fake:0"].crash()
    end(m, client, [pid for started in pids for pid in started])
    m.go(1)
    m.sound()
    assert [end_of(client, started) for started in pids] == [undisturbed(job, PLAIN) for job in jobs]


def test_many_turns_are_no_reason_to_refuse_a_request() -> None:
    m = machine(1, model_turn_s=1.0, model_wait_s=2.0)
    client = m.client()
    jobs = [Job("each", given=b"a\nb\nc\nd\ne\nf\ng\nh"), Job("each", given=b"i\nj\nk\nl\nm\nn\no")]
    pids = [job.start(client, model=f"fake:{n}") for n, job in enumerate(jobs)]
    end(m, client, [pid for started in pids for pid in started])
    assert m.kernel.models.loads > 8
    assert [end_of(client, started) for started in pids] == [undisturbed(job, PLAIN) for job in jobs]


def test_free_and_vmstat_count_only_cells_that_are_there() -> None:
    m = machine(1)
    client = m.client()
    for model in ("fake:a", "fake:b"):
        end(m, client, [client.run("say", model=model)])
        m.go(1)
    assert {row["model"]: row["total"] for row in client.call("free")["rows"]} == {"fake:a": 0, "fake:b": 1000}
    assert client.call("vmstat")["free"] + client.call("vmstat")["used"] == 1000


def test_turns_are_not_spent_on_computing_logs_again_alone() -> None:
    """What a model has lost takes longer to compute than a turn: the turn begins after it."""
    slow = OPTIONS._replace(prefill=10.0)
    made = Settings(strict=True, memory=SIZE, model_turn_s=1.0, model_wait_s=5.0)
    m = Machine(slow, settings=made)
    client = m.client()
    pids = [client.run("ask", "x" * 250, model=f"fake:{n}", params={"max_tokens": 60}) for n in range(2)]
    m.go(90)
    assert [end["status"] if (end := client.exited(pid)) else None for pid in pids] == [0, 0]
    assert m.kernel.models.loads > 2
    m.sound()


def wait(machine: Machine, client: Client, pid: int) -> float:
    """Seconds until the process's model is there."""
    began = machine.clock.now()
    machine.clock.run_until(lambda: client.row(pid)["wchan"] != "load", 300)
    return machine.clock.now() - began


def test_input_that_is_new_is_no_reason_for_others_to_wait_longer() -> None:
    """It takes a minute to compute; others wait as long as they are told to at most."""
    slow = OPTIONS._replace(cells=10_000, context=1000, prefill=15.0)
    m = Machine(slow, settings=Settings(strict=True, memory=13_000 * KIB, model_turn_s=5.0, model_wait_s=10.0))
    client = m.client()
    for letter in "abcdefghijklmnop":
        client.run("ask", letter * 250, model="fake:a")
    m.clock.run_until(lambda: states(client)["fake:a"] == "ready")
    other = client.run("say", model="fake:b")
    assert wait(m, client, other) <= 10
    m.sound()


def test_what_was_lost_makes_others_wait_twice_as_long_at_most() -> None:
    """Two models take turns, and each would need a minute to compute its logs again."""
    slow = OPTIONS._replace(cells=10_000, context=1000, prefill=15.0)
    m = Machine(slow, settings=Settings(strict=True, memory=13_000 * KIB, model_turn_s=5.0, model_wait_s=10.0))
    client = m.client()
    for letter in "abcdefghijklmnop":
        client.run("ask", letter * 250, model="fake:a")
    m.clock.run_until(lambda: all(row["tokens_out"] for row in client.call("ps")["rows"] if row["agent"] == "ask"), 600)
    end(m, client, [client.run("say", model="fake:b")])
    m.clock.run_until(lambda: states(client)["fake:a"] == "ready")
    waited = wait(m, client, client.run("say", model="fake:b"))
    assert 10 < waited <= 20
    m.sound()
