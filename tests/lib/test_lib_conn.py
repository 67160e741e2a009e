"""Connections: versions, paths, replies and events in any order; stubs against the table of calls."""

import inspect
from pathlib import Path

import pytest

from llmsh.abi import paths, syscalls
from llmsh.abi.errors import Error
from llmsh.lib import calls, conn
from tests.support.client import llmsh
from tests.support.wireserver import WireServer


def test_another_version_is_one_line_with_the_way_out(server: WireServer) -> None:
    server.hello = {"err": "EVERSION", "msg": "the daemon speaks version 9.0"}
    done = llmsh("ps")
    assert done.returncode == 69
    assert done.stderr == "ps: the daemon speaks version 9.0; run `llmsh daemon restart`\n"


def test_a_path_that_no_socket_can_have_is_refused_with_its_length(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSH_SOCKET", "/" + "x" * 107)
    done = llmsh("ps")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "107" in done.stderr
    assert "108" in done.stderr


def test_replies_come_in_any_order_and_events_are_kept(server: WireServer) -> None:
    link = conn.dial()
    first, second = link.begin("null"), link.begin("uptime")
    a, b = server.expect("null"), server.expect("uptime")
    a.link.event("stat", pid=5, stat="T")
    b.ok(up_ms=7)
    a.ok()
    assert link.finish(first) == ({}, b"")
    assert link.finish(second)[0] == {"up_ms": 7}
    assert link.events.popleft()[0]["ev"] == "stat"
    link.close()


def test_an_error_is_raised_by_its_name(server: WireServer) -> None:
    link = conn.dial()
    number = link.begin("kill", pid=9, sig=9)
    server.expect("kill").fail("ESRCH", "9: no such process")
    with pytest.raises(Error, match="9: no such process") as caught:
        link.finish(number)
    assert (caught.value.code, caught.value.status) == ("ESRCH", 1)
    link.close()


def test_a_server_that_hangs_up_is_an_error(server: WireServer) -> None:
    link = conn.dial()
    number = link.begin("null")
    server.expect("null").link.close()
    with pytest.raises(Error, match="went away"):
        link.finish(number)
    link.close()


def test_nobody_there_is_ehostdown(xdg: Path) -> None:
    with pytest.raises(Error) as caught:
        conn.dial()
    assert caught.value.code == "EHOSTDOWN"


@pytest.mark.parametrize("name", [name for name in syscalls.TABLE if name != "hello"])
def test_a_stub_is_the_call_of_the_table(name: str) -> None:
    entry = syscalls.TABLE[name]
    parameters = dict(inspect.signature(getattr(calls, name)).parameters)
    assert parameters.pop("conn").annotation is conn.Connection
    body = parameters.pop("body", None)
    assert (body is not None) == entry.body
    assert list(parameters) == [arg.name for arg in entry.args]
    for arg in entry.args:
        default = parameters[arg.name].default
        if arg.required:
            assert default is inspect.Parameter.empty
        elif arg.kind != "map":
            assert default == arg.default
    assert f"The call {name}" in (getattr(calls, name).__doc__ or "")


def test_there_is_no_stub_without_a_call() -> None:
    ours = {name for name, value in vars(calls).items() if inspect.isfunction(value)}
    assert ours == set(syscalls.TABLE) - {"hello"}


def test_the_socket_is_where_the_daemon_listens(xdg: Path) -> None:
    assert paths.socket() == str(xdg / "runtime" / "llmsh" / "llmshd.sock")
