"""What this process may use of the machine: cores and memory, by affinity and cgroup limits.

Source: sched_getaffinity(2), cgroups(7), kernel.org cgroup-v2 (cpu.max, memory.max).
"""

import os
from math import ceil

CPUS = tuple(sorted(os.sched_getaffinity(0)))
"""Those that this process was started on; where its threads are later is drivers/household.py's."""


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _groups(root: str, table: str, controller: str) -> list[str]:
    """Folders of this process's cgroup and those above it, version 2, or 1 for a controller."""
    for line in table.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names == "" or controller in names.split(","):
            base = os.path.join(root, controller) if names else root
            parts = [part for part in path.split("/") if part and part != ".."]
            return [os.path.join(base, *parts[:depth]) for depth in range(len(parts), -1, -1)]
    return [root]


def _quota(folder: str) -> float:
    """Cores that a group may use; 0 for no limit."""
    quota, _, period = _text(os.path.join(folder, "cpu.max")).partition(" ")
    if not quota:
        quota = _text(os.path.join(folder, "cpu.cfs_quota_us"))
        period = _text(os.path.join(folder, "cpu.cfs_period_us"))
    if quota.isdecimal() and period.isdecimal() and int(period):
        return int(quota) / int(period)
    return 0.0


def cores(root: str = "/sys/fs/cgroup", table: str | None = None) -> int:
    """Cores that this process may keep busy, at least 1."""
    table = _text("/proc/self/cgroup") if table is None else table
    allowed = len(CPUS)
    limits = [limit for folder in _groups(root, table, "cpu") if (limit := _quota(folder))]
    return max(1, min([allowed, *(ceil(limit) for limit in limits)]))


def memory(root: str = "/sys/fs/cgroup", table: str | None = None) -> int:
    """Bytes of memory that this process and its children may use."""
    table = _text("/proc/self/cgroup") if table is None else table
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in _groups(root, table, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(os.path.join(folder, name))
            if text.isdecimal():
                sizes.append(int(text))
    return min(sizes)
