"""Where the daemon's threads run, in a process of its own: the affinity of the tests' must stay."""

import os
import subprocess
import sys

import pytest

CPUS = sorted(os.sched_getaffinity(0))
PROGRAM = """
import os, subprocess, sys, threading
from llmsh.drivers.household import Household

cpus = sorted(os.sched_getaffinity(0))
hold = threading.Event()
other = threading.Thread(target=hold.wait)
other.start()

def seen():
    return {frozenset(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}

def child():
    code = "import os; print(*sorted(os.sched_getaffinity(0)))"
    return [int(word) for word in subprocess.check_output([sys.executable, "-c", code]).split()]

house = Household(cpus)
house.lead("a", {cpus[0]})
assert seen() == {frozenset(cpus[1:] or cpus)}, seen()
with house.away():
    assert child() == cpus
assert seen() == {frozenset(cpus[1:] or cpus)}, "back"
house.lead("b", set(cpus))
assert seen() == {frozenset(cpus)}, "somewhere it must run"
house.lead("b", set())
assert seen() == {frozenset(cpus[1:] or cpus)}
house.lead("a", set())
assert seen() == {frozenset(cpus)}, "nobody leads"
Household([4095]).lead("a", {4095})  # a CPU that there is not: it stays where it is
assert seen() == {frozenset(cpus)}
hold.set()
print("well")
"""


@pytest.mark.skipif(len(CPUS) < 2, reason="on one CPU there is nowhere to go")
def test_daemon_leaves_leaders_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "well\n", done.stderr
