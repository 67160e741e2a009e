"""Logs of detached processes: offsets, caps, files."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmsh.abi.errors import Error
from llmsh.abi.levels import ERR
from llmsh.kernel import logfile
from llmsh.kernel.logfile import Logs

PID = 4194304


def quiet(line: str) -> None:
    raise AssertionError(line)


def whole(logs: Logs, pid: int = PID, chunk: int = 7) -> tuple[int, bytes]:
    """The first offset that is kept, and everything from there, read in small pieces."""
    offset, data = logs.read(pid, 0, chunk)
    first, out = offset - len(data), data
    while data:
        offset, data = logs.read(pid, offset, chunk)
        out += data
    return first, out


def test_what_is_written_is_read_from_any_offset(tmp_path: Path) -> None:
    logs = Logs(str(tmp_path), quiet)
    logs.append(PID, b"hello ")
    logs.append(PID, b"\x00\xff world")
    assert logs.read(PID, 0, 100) == (14, b"hello \x00\xff world")
    assert logs.read(PID, 6, 2) == (8, b"\x00\xff")
    assert logs.read(PID, -5, 100) == (14, b"world")
    assert logs.read(PID, -500, 5) == (5, b"hello")
    assert logs.read(PID, 14, 100) == logs.read(PID, 99, 100) == (14, b"")


def test_a_log_outlives_the_daemon_and_is_for_its_user_only(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    logs = Logs(str(folder), quiet)
    logs.append(PID, b"one")
    logs.close()
    again = Logs(str(folder), quiet)
    again.append(PID, b"two")
    assert again.read(PID, 0, 100) == (6, b"onetwo")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{PID}.out").stat().st_mode) == 0o600


def test_no_log_and_an_empty_one_differ(tmp_path: Path) -> None:
    logs = Logs(str(tmp_path), quiet)
    with pytest.raises(Error, match="no log") as caught:
        logs.read(PID, 0, 10)
    assert caught.value.code == "ENOENT"
    logs.append(PID, b"")
    assert logs.read(PID, 0, 10) == (0, b"")


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers(2, 64), st.booleans())
def test_the_end_is_kept_and_offsets_stay(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], cap: int, again: bool
) -> None:
    folder = str(tmp_path_factory.mktemp("logs"))
    logs = Logs(folder, quiet, cap)
    for part in parts:
        logs.append(PID, part)
        if again:
            logs.close()
            logs = Logs(folder, quiet, cap)
    logs.append(PID, b"")
    text = b"".join(parts)
    first, kept = whole(logs)
    assert first + len(kept) == len(text)
    assert text.endswith(kept)
    assert len(kept) >= min(len(text), cap // 2)
    assert sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder) if "out" in name) <= cap
    logs.close()


def test_many_logs_share_few_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    logs = Logs(str(tmp_path), quiet)
    for turn in range(2):
        for pid in range(PID, PID + logfile.OPEN_MAX * 2):
            logs.append(pid, b"%d" % turn)
    assert len(os.listdir("/proc/self/fd")) - before == logfile.OPEN_MAX
    assert logs.read(PID, 0, 10) == logs.read(PID + logfile.OPEN_MAX, 0, 10) == (2, b"01")
    logs.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_log_of_who_ended_first_goes_first_and_none_of_who_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfile, "LOGS_MAX", 3)
    logs = Logs(str(tmp_path), quiet)
    for pid in range(1, 9):
        logs.append(pid, b"x")
    for pid in (2, 1, 5, 99):
        logs.finished(pid)
    logs.append(2, b"its last words")
    assert len(os.listdir(tmp_path)) == 8
    logs.finished(6)
    assert sorted(os.listdir(tmp_path)) == [f"{pid}.out" for pid in (1, 3, 4, 5, 6, 7, 8)]
    assert logs.purge({3}) == 6
    assert sorted(os.listdir(tmp_path)) == ["3.out"]
    logs.close()


def test_a_full_disk_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    logs = Logs(str(tmp_path), said.append)
    (tmp_path / f"{PID}.out").symlink_to("/dev/full")
    logs.append(PID, b"lost")
    logs.append(PID, b"lost")
    assert said == [f"{ERR}logs: {PID}: No space left on device: output is lost"]
    (tmp_path / f"{PID + 1}.out").mkdir()
    logs.append(PID + 2, b"kept")
    assert logs.read(PID + 2, 0, 10) == (4, b"kept")
    logs.close()
