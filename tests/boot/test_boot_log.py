"""The daemon's log: lines, cap, standard error."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmsh.boot.log import LINE_MAX, Log


def test_lines_have_a_time_and_belong_to_the_user(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path), 1 << 20)
    log.line("one")
    log.line("\udcfftwo" + "x" * 9000)
    first, second = path.read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} one", first)
    assert "\\udcfftwo" in second
    assert len(second) < LINE_MAX + 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_cap_holds_and_the_newest_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path), 16384)
    for number in range(2000):
        log.line(f"line {number}")
    kept = (tmp_path / "log.1").read_text() + path.read_text()
    numbers = [int(line.rpartition(" ")[2]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 2000))
    assert len(kept) <= 16384 + 200
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1"]


def test_standard_error_follows_a_rotation(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from llmsh.boot.log import Log\n"
        "log = Log(sys.argv[1], 8192)\n"
        "log.take_stderr()\n"
        "os.write(2, b'early\\n')\n"
        "while not os.path.exists(sys.argv[1] + '.1'): log.line('x' * 500)\n"
        "os.write(2, b'late\\n')\n"
    )
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert "early" in (tmp_path / "log.1").read_text()
    assert path.read_text() == "late\n"


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        Log(str(tmp_path / "log"), 8192)


def test_a_full_disk_is_no_trouble(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 8192)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._fd)
    os.close(full)
    log.line("lost")
    assert (tmp_path / "log").read_text() == ""
