"""Where daemon and engine run when an engine's step takes all of the machine's CPUs."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_e2e_process import engine, row, run, text_of, until
from tests.support.daemon import Daemon, Wire

CPUS = set(os.sched_getaffinity(0))

pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="on one CPU all run on it")


def places(pid: int) -> dict[int, set[int]]:
    """CPUs of each thread of an OS process."""
    return {int(thread): os.sched_getaffinity(int(thread)) for thread in os.listdir(f"/proc/{pid}/task")}


def test_the_leader_has_a_cpu_to_itself(start: Callable[..., Daemon], tiny: Path) -> None:
    daemon = start("-o", "cores=1", "-o", f"threads={len(CPUS)}")
    wire = Wire()
    text_of(wire, run(wire))
    pid = engine(wire)
    found = places(pid)
    leads = found.pop(pid)
    assert len(leads) == 1
    assert all(each == CPUS for each in found.values()), "who helps is where there is room"
    assert all(each == CPUS - leads for each in places(daemon.pid).values())
    # The next engine is started by a daemon that is not everywhere.
    os.kill(pid, signal.SIGKILL)
    until(wire, lambda: engine(wire) not in (0, pid))
    other = run(wire)
    until(wire, lambda: row(wire, other)["tokens_out"] > 1)
    assert places(engine(wire))[engine(wire)] == leads
    text_of(wire, other)
    wire.call("unload", model=str(tiny))
    until(wire, lambda: all(each == CPUS for each in places(daemon.pid).values()))


def test_where_a_cpu_is_free_nobody_is_pinned(start: Callable[..., Daemon]) -> None:
    daemon = start("-o", "cores=1")
    wire = Wire()
    text_of(wire, run(wire))
    for pid in (daemon.pid, engine(wire)):
        assert all(each == CPUS for each in places(pid).values())
