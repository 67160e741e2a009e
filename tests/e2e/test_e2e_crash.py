"""kill -9 of the daemon: what was accepted is known to the next one, and `wait` answers."""

import signal
from collections.abc import Callable

from tests.e2e.test_e2e_process import ENDLESS, run, until
from tests.support.daemon import Daemon, Wire


def test_the_next_daemon_reports_what_was_running(start: Callable[..., Daemon]) -> None:
    daemon = start()
    wire = Wire()
    done = run(wire, detach=True, stdout="log", stderr="log")
    assert wire.call("wait", pid=done)["status"] == 0
    lost = run(wire, detach=True, stdout="log", stderr="log", params={**ENDLESS, "max_tokens": 1900})
    until(wire, lambda: wire.call("ps", pids=[lost])["rows"][0]["tokens_out"] > 0)
    daemon.stop(signal.SIGKILL)
    start()
    wire = Wire()
    assert wire.call("wait", pid=done)["status"] == 0
    found = wire.call("wait", pid=lost)
    assert found["status"] != 0
    assert any(str(lost) in line["line"] for line in wire.call("dmesg")["rows"])
    again = run(wire)
    assert again > lost
    assert wire.event("exit", pid=again)["status"] == 0
