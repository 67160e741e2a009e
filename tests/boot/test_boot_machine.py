"""Cores and memory under affinity and cgroup limits, from files as the machine's kernel writes them."""

import os
from pathlib import Path

import pytest

from llmsh.boot import machine

AFFINITY = len(os.sched_getaffinity(0))


def group(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.mark.parametrize(
    ("inner", "outer", "cores"),
    [
        ("max 100000", "max 100000", AFFINITY),
        ("100000 100000", "max 100000", 1),
        ("50000 100000", "max 100000", 1),
        ("max 100000", "100000 100000", 1),
        ("9900000 100000", "max 100000", AFFINITY),
        ("150000 100000", "max 100000", min(2, AFFINITY)),
        ("nonsense", "", AFFINITY),
    ],
)
def test_cores_of_cgroup_2(tmp_path: Path, inner: str, outer: str, cores: int) -> None:
    group(tmp_path, "user/me", cpu__max=inner)
    group(tmp_path, "user", cpu__max=outer)
    assert machine.cores(str(tmp_path), "0::/user/me") == cores


def test_cores_of_cgroup_1(tmp_path: Path) -> None:
    group(tmp_path, "cpu/box", cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000")
    assert machine.cores(str(tmp_path), "4:memory:/x\n3:cpu,cpuacct:/box\n0::/y") == 1
    group(tmp_path, "cpu/box", cpu__cfs_quota_us="-1")
    assert machine.cores(str(tmp_path), "3:cpu,cpuacct:/box") == AFFINITY


def test_cores_without_cgroups_are_those_of_the_affinity(tmp_path: Path) -> None:
    assert machine.cores(str(tmp_path / "none"), "") == AFFINITY
    assert 1 <= machine.cores() <= AFFINITY


def test_memory_is_the_least_of_all_limits(tmp_path: Path) -> None:
    group(tmp_path, "a/b", memory__max="max")
    group(tmp_path, "a", memory__max=str(64 << 20))
    assert machine.memory(str(tmp_path), "0::/a/b") == 64 << 20
    assert machine.memory(str(tmp_path), "0::/") == machine.memory(str(tmp_path / "none"), "") > 64 << 20


def test_a_path_that_leads_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    group(tmp_path, "in", memory__max="1")
    assert machine.memory(str(tmp_path / "tree"), "0::/../in") > 1
