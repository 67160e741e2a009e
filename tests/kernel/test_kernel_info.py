"""What the kernel tells of itself: ps in pages, devices, memory, messages, load, logs."""

from typing import Any

import pytest

from llmsh.abi import signals as sig
from llmsh.abi.errors import Error
from llmsh.abi.limits import BODY_CHUNK, INIT
from llmsh.abi.records import LSDEV, PS
from llmsh.drivers.fakecore import Options
from tests.support.machine import Client, Machine

HOSTILE = "\U0001f600\x1b]0;\u202e"
"""Each character is up to twelve bytes of JSON."""


def all_rows(client: Client, **args: Any) -> list[dict[str, Any]]:
    """Every page of ps."""
    rows: list[dict[str, Any]] = []
    while True:
        page = client.call("ps", after=rows[-1]["pid"] if rows else 0, **args)
        rows += page["rows"]
        if not page["more"]:
            return rows
        assert page["rows"], "a page that is not the last has a row"


def test_rows_have_the_fields_that_are_documented() -> None:
    machine = Machine()
    client = machine.client()
    client.run("ask")
    machine.go(1)
    for row in client.call("ps")["rows"]:
        assert set(row) == set(PS)
    assert set(LSDEV) == set(client.call("lsdev")["rows"][0])


@pytest.mark.parametrize("count", [1, 255, 256, 257, 700])
@pytest.mark.parametrize("text", ["x", HOSTILE * 300], ids=["plain", "hostile"])
def test_pages_give_everybody_once_and_fit_a_frame(count: int, text: str) -> None:
    """The client of these tests refuses what fits no frame."""
    machine = Machine(Options(start=1e9))
    client = machine.client()
    pids = [client.run("ask", text) for _ in range(count)]
    assert [row["pid"] for row in all_rows(client)] == [INIT, *pids]
    wanted = pids[::3]
    assert [row["pid"] for row in all_rows(client, pids=wanted)] == wanted


def test_only_those_that_are_asked_for() -> None:
    machine = Machine()
    client = machine.client()
    pids = [client.run("ask") for _ in range(3)]
    ask = [pids[2], INIT, pids[0], pids[0], 99, -5]
    assert [row["pid"] for row in client.call("ps", pids=ask)["rows"]] == [INIT, pids[0], pids[2]]


@pytest.mark.parametrize(
    ("nice", "fg", "wanted"), [(0, False, "R"), (0, True, "R+"), (-3, False, "R<"), (7, False, "RN"), (7, True, "RN+")]
)
def test_stat_says_nice_and_foreground(nice: int, fg: bool, wanted: str) -> None:
    machine = Machine()
    client = machine.client(tty="pts/1")
    client.peer.fg = fg
    pid = client.run("ask", nice=nice)
    machine.go(0.1)
    assert client.row(pid)["stat"] == wanted


def test_cells_and_bytes_of_a_process_and_of_the_device() -> None:
    machine = Machine(Options(cells=600, context=600))
    client = machine.client()
    pids = [client.run("ask", f"{n}" * 300) for n in range(2)]
    machine.go(0.4)
    rows = [client.row(pid) for pid in pids]
    device, memory = client.call("lsdev")["rows"][0], client.call("free")["rows"][0]
    assert sum(row["rss"] for row in rows) <= device["cells_used"] <= 600
    assert (memory["total"], memory["used"] + memory["free"]) == (600, 600)
    assert memory["swap"] == sum(row["swap"] for row in rows)
    for row in (*rows, memory):
        for name in ("rss", "shared", "swap", "used", "free"):
            if name in row:
                assert row[f"{name}_bytes"] == row[name] * device["cell_bytes"]


def test_time_is_charged_to_who_used_it() -> None:
    machine = Machine()
    client = machine.client()
    busy, idle = client.run("ask"), client.run("each", "", stdin="client")
    machine.go(3)
    assert client.row(busy)["time_ms"] == pytest.approx(2980, abs=60)
    assert client.row(idle)["time_ms"] == 0
    assert client.row(busy)["elapsed_ms"] == 3000


def test_load_rises_and_falls() -> None:
    machine = Machine(Options(cells=60_000, context=20_000))
    client = machine.client()
    pids = [client.run("ask") for _ in range(4)]
    machine.go(5)
    early = client.call("uptime")["load"]
    machine.go(10)
    later = client.call("uptime")
    assert 0 < early[0] < later["load"][0] < 4
    assert later["load"] == sorted(later["load"], reverse=True)
    assert (later["runnable"], later["processes"], later["sessions"]) == (4, 4, 1)
    for pid in pids:
        client.post("kill", pid=pid, sig=sig.KILL)
    machine.go(600)
    assert client.call("uptime")["load"][0] < 0.01


def test_dmesg_follows_and_fits_a_frame() -> None:
    machine = Machine()
    client = machine.client()
    call = client.post("dmesg", after=0, follow=True)
    machine.kernel.say("first")
    assert [row["line"] for row in client.answer(call)["rows"]] == ["first"]
    for _ in range(1500):
        machine.kernel.say(HOSTILE * 300)
    rows: list[dict[str, Any]] = []
    while page := client.call("dmesg", after=rows[-1]["n"] if rows else 0)["rows"]:
        rows += page
    assert [row["n"] for row in rows] == list(range(502, 1502))
    assert rows == machine.console.rows()


# Logs of detached processes.


def detached(client: Client, text: str = "x", **params: Any) -> int:
    return client.run("ask", text, detach=True, stdout="log", stderr="log", params={"max_tokens": 50, **params})


def test_a_log_is_read_from_any_place_and_followed_to_its_end() -> None:
    machine = Machine()
    client = machine.client()
    pid = detached(client)
    got, offset, eof = b"", 0, False
    while not eof:
        call = client.post("logs", pid=pid, offset=offset, follow=True)
        machine.clock.run_until(lambda call=call: call in client.replies)  # type: ignore[misc]  # binds the loop variable
        got += client.replies[call][1]
        offset, eof = client.answer(call)["offset"], client.answer(call)["eof"]
    assert len(got) == 51
    assert got == bytes(machine.memory.texts[pid])
    call = client.post("logs", pid=pid, offset=-5)
    assert client.replies[call][1] == got[-5:]
    call = client.post("logs", pid=pid, offset=1 << 50)
    assert (client.replies[call][1], client.answer(call)["eof"]) == (b"", True)


def test_a_log_is_given_in_chunks() -> None:
    machine = Machine()
    client = machine.client()
    pid = detached(client)
    machine.go(1)
    machine.memory.append(pid, b"y" * (3 * BODY_CHUNK))
    call = client.post("logs", pid=pid)
    assert len(client.replies[call][1]) == BODY_CHUNK
    assert client.answer(call)["eof"] is False


def test_who_has_no_log() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("ask")
    with pytest.raises(Error) as caught:
        client.call("logs", pid=pid)
    assert caught.value.code == "ENOENT"


def test_output_that_cannot_be_kept_ends_a_detached_process_with_a_line() -> None:
    machine = Machine()
    client = machine.client()
    pid = detached(client, max_tokens=2000)
    machine.go(1)
    machine.memory.full = True
    machine.go(1)
    end = client.call("wait", pid=pid)
    assert end["status"] == 1
    assert end["reason"]
    machine.memory.full = False
    machine.sound()


# Models.


def test_load_unload_and_who_is_in_the_way() -> None:
    machine = Machine()
    client = machine.client()
    call = client.post("load", model="fake")
    assert call not in client.replies
    machine.go(0.1)
    assert client.answer(call) == {"name": "fake"}
    assert client.call("load", model="fake") == {"name": "fake"}
    pid = client.run("ask")
    machine.go(0.1)
    with pytest.raises(Error) as caught:
        client.call("unload", model="fake")
    assert caught.value.code == "EBUSY"
    client.post("kill", pid=pid, sig=sig.KILL)
    client.call("unload", model="fake")
    assert client.call("lsdev") == {"rows": []}
    machine.go(1)
    machine.sound()


def test_models_that_nobody_uses_go_after_a_while() -> None:
    machine = Machine()
    client = machine.client()
    used, unused = client.run("each", "", stdin="client", model="fake:2"), client.run("say")
    machine.clock.run_until(lambda: client.exited(unused) is not None)
    machine.go(599)
    machine.kernel.unload_idle()
    assert set(machine.kernel.hosts) == {"fake", "fake:2"}
    machine.go(10)
    machine.kernel.unload_idle()
    assert set(machine.kernel.hosts) == {"fake:2"}
    assert client.exited(used) is None
    assert machine.lines()[-1] == "fake: unloaded after 600 idle seconds"


def test_models_are_limited() -> None:
    machine = Machine()
    client = machine.client()
    for n in range(64):
        client.post("load", model=f"fake:{n}")
    with pytest.raises(Error) as caught:
        client.run("ask", model="fake:one more")
    assert caught.value.code == "EAGAIN"
    assert len(machine.kernel.table) == 0


def test_shutdown_ends_everything_in_order() -> None:
    machine = Machine()
    client = machine.client()
    pids = [client.run("ask"), client.run("each", "", stdin="client"), client.run("ask")]
    machine.go(0.5)
    client.post("kill", pid=pids[2], sig=sig.STOP)
    machine.go(0.5)
    stopped: list[bool] = []
    machine.kernel.shutdown(2.0, lambda: stopped.append(True))
    with pytest.raises(Error) as caught:
        client.run("ask")
    assert caught.value.code == "EAGAIN"
    machine.go(1)
    assert [client.ends[pid]["status"] for pid in pids] == [143] * 3
    assert stopped == [True]
    machine.go(10)
    assert stopped == [True]


def test_shutdown_does_not_wait_for_an_engine_that_hangs() -> None:
    machine = Machine()
    client = machine.client()
    pid = client.run("ask")
    machine.go(0.5)
    machine.device.hang()
    stopped: list[bool] = []
    machine.kernel.shutdown(1.0, lambda: stopped.append(True))
    machine.go(0.9)
    assert stopped == []
    machine.go(0.2)
    assert (stopped, client.ends[pid]["status"]) == ([True], 137)
