"""Where and on what is measured: the model, the threads, how many samples. It measures nothing."""

import os
import sys
from typing import NamedTuple

from bench.row import Skipped
from llmsh.abi import paths

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT_MODEL = "smollm2"
CELLS = 8192
"""Cells of the cache, the same for all that are compared."""
SEQUENCES = 16


class Place(NamedTuple):
    """What all rows share."""

    model: str
    threads: int
    scale: float
    """Samples are this times the usual number; 0 is the short form: one pair, or the least that says anything."""
    options: tuple[str, ...] = ()
    """KEY=VALUE of llmshd.toml, for every daemon of the rows that let it choose for itself."""

    def count(self, usual: int, least: int = 1) -> int:
        """How many samples to take."""
        return max(least, round(usual * self.scale))

    def pick(self, short: int, full: int) -> int:
        """The size of a scenario: of the short form, or of the full one."""
        return min(full, max(short, round(full * self.scale)))

    def keys(self, **keys: int | str) -> dict[str, int | str]:
        """Keys for a daemon that uses the whole machine as it sees fit, with these and the user's laid over."""
        given = dict(part.split("=", 1) for part in self.options)
        return {"cores": 0, **keys, **given}


def cores() -> int:
    """Cores of the machine that we may use: threads of the other side, where ours has all of them."""
    return len(os.sched_getaffinity(0))


def model() -> str:
    """The model's file: MODEL (a name or a path), else SmolLM2 in the data folder. Raises Skipped."""
    path = paths.model_file(os.environ.get("MODEL") or DEFAULT_MODEL)
    if not os.path.isfile(path):
        raise Skipped(f"no model {path}: `llmsh model pull {DEFAULT_MODEL}`, or MODEL=PATH")
    return path


def resident(pid: int) -> int:
    """Bytes of a process that are in memory now (VmRSS of proc_pid_status(5))."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def machine() -> dict[str, object]:
    """What kind of machine this is."""
    name = ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                name = line.partition(":")[2].strip()
                break
    return {
        "processor": name,
        "cores": cores(),
        "python": sys.version.split()[0],
        "load": os.getloadavg()[0],
    }


def python() -> list[str]:
    """The interpreter that runs this, which is also the one that is measured."""
    return [sys.executable]


def llmsh() -> list[str]:
    """The command `llmsh` as users have it: the script beside the interpreter, else the module."""
    script = os.path.join(os.path.dirname(sys.executable), "llmsh")
    return [script] if os.path.exists(script) else [sys.executable, "-m", "llmsh.cli"]
