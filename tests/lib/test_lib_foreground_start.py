"""Signals that come while agents are being started, before anybody stands for them."""

import signal

import pytest

from tests.support.jobcontrol import Job
from tests.support.wireserver import WireServer

PID = 1 << 22


@pytest.mark.parametrize("words", [["run"], ["run", "--best-of", "2", "--temp", "1"]])
def test_a_ctrl_z_while_agents_are_being_started_stops_them_once_they_are(server: WireServer, words: list[str]) -> None:
    count = 2 if len(words) > 1 else 1
    with Job([*words, "ask", "x"]) as job:
        first = server.expect("run")
        job.type(b"\x1a")
        first.ok(pid=PID, pgid=PID)
        runs = [first, *(server.begin(PID + n, pgid=PID) for n in range(1, count))]
        kill = server.expect("kill")
        assert kill.args == {"pid": -PID, "sig": signal.SIGTSTP}
        for at, run in enumerate(runs):
            run.link.event("stat", pid=PID + at, stat="T")
        kill.ok(sent=count)
        assert job.next() == f"stopped {signal.SIGTSTP:d}"
        job.foreground()
        server.expect("kill").ok(sent=count)
        for at, run in enumerate(runs):
            run.link.event("exit", pid=PID + at, status=0, signal=0, reason="")
        assert job.next() == "ended 0"
