"""`llmsh ps` as a whole process against `python -c pass`: what a short command costs."""

import os
import subprocess
import time
from collections.abc import Iterator
from statistics import median

from bench import stats
from bench.daemon import Daemon
from bench.place import Place, llmsh, python
from bench.row import Row, judged

TARGET = 4.0
SAMPLES = 60


def once(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Milliseconds of one process from its start to its end, and those it had a processor."""
    with open(os.devnull, "r+b") as null:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdin=null, stdout=null)
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return took * 1000, (used.ru_utime + used.ru_stime) * 1000


def rows(place: Place) -> Iterator[Row]:
    """One row."""
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    with Daemon() as daemon:
        ps, bare = [*llmsh(), "ps"], [*python(), "-c", "pass"]
        for command in (ps, bare):
            once(command, daemon.env)  # files into the page cache, byte code compiled
        for _ in range(place.count(SAMPLES, 10)):
            ours.append(once(ps, daemon.env))
            theirs.append(once(bare, daemon.env))
    found = stats.ratio([took for took, _ in ours], [took for took, _ in theirs])
    busy = stats.ratio([used for _, used in ours], [used for _, used in theirs])
    ms, floor = median(took for took, _ in ours), median(took for took, _ in theirs)
    value = f"{found.shown()}, {ms:.1f} ms and {floor:.1f} ms"
    data = {"ratio": found.record(), "processor_ratio": busy.record(), "llmsh_ps_ms": ms, "python_ms": floor}
    yield judged("llmsh ps / python -c pass", f"<= {TARGET:g}", value, found.middle <= TARGET, data)
