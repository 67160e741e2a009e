"""The socket's place: safe, free, and ours; or a socket that somebody else bound."""

import os
import socket
import stat
from pathlib import Path

import pytest

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.boot.instance import Instance
from llmsh.boot.socketfile import SocketFile, adopt, check_folder, inherited


def test_folder_and_socket_are_private(xdg: Path) -> None:
    os.umask(0o022)
    made = SocketFile()
    assert made.path == str(xdg / "runtime" / "llmsh" / "llmshd.sock")
    assert stat.S_IMODE(os.lstat(made.path).st_mode) == 0o600
    assert stat.S_IMODE(os.lstat(os.path.dirname(made.path)).st_mode) == 0o700
    assert made.there
    made.sock.close()


def test_a_folder_that_is_missing_altogether_is_made(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(xdg / "gone" / "further"))
    made = SocketFile()
    assert made.there
    made.sock.close()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "llmsh"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(Error, match=f"has mode {mode:04o}; it must be 0700") as caught:
        check_folder(str(folder))
    assert str(folder) in caught.value.detail


def test_a_link_a_file_and_a_stranger_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(Error, match="not a folder"):
            check_folder(str(tmp_path / name))
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(Error, match=f"belongs to user {uid}"):
        check_folder(str(tmp_path / "real"))


def test_a_path_that_is_too_long_is_refused_with_its_length(xdg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp = xdg / ("x" * 100)
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp))
    with pytest.raises(Error, match=f"{len(paths.socket())} bytes; a socket path has at most 107"):
        SocketFile()
    assert list(folder.iterdir()) == []


def test_a_stale_socket_is_taken_away(xdg: Path) -> None:
    first = SocketFile()  # bound, but nobody listens
    second = SocketFile()
    assert second.there
    assert not first.there
    first.unlink()
    assert second.there
    second.unlink()
    assert not os.path.exists(second.path)
    first.sock.close()
    second.sock.close()


def test_a_socket_that_answers_is_left_alone(xdg: Path) -> None:
    first = SocketFile()
    first.sock.listen(1)
    with pytest.raises(Error, match="another daemon serves there"):
        SocketFile()
    assert first.there
    first.sock.close()


def test_what_is_no_socket_is_left_alone(xdg: Path) -> None:
    check_folder(paths.runtime())
    Path(paths.socket()).write_text("precious")
    with pytest.raises(Error, match="not a socket"):
        SocketFile()
    assert Path(paths.socket()).read_text() == "precious"


def test_inherited_descriptors_are_meant_for_one_process() -> None:
    mine = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "X": ""}
    assert inherited(mine) == [3, 4]
    assert mine == {"X": ""}
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "2"}) == []
    assert inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "-1"}) == []
    assert inherited({}) == []


def test_only_a_listening_stream_socket_is_adopted(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(tmp_path / "s"))
        with pytest.raises(Error, match="not a listening"):
            adopt(sock.fileno())
        sock.listen(1)
        taken = adopt(sock.fileno())
        assert (taken.fileno(), taken.getblocking()) == (sock.fileno(), False)
        taken.detach()
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Error, match="not a listening UNIX"):
        adopt(other.fileno())
    reader, writer = os.pipe()
    with pytest.raises(Error, match="LISTEN_FDS: descriptor"):
        adopt(reader)
    os.close(reader)
    os.close(writer)


def test_one_instance_holds_the_lock_and_says_which(xdg: Path) -> None:
    first = Instance()
    with pytest.raises(Error, match=f"runs already, as pid {os.getpid()}$") as caught:
        Instance()
    assert caught.value.code == "EBUSY"
    assert first.held
    first.release()
    second = Instance()
    os.rename(paths.lock(), paths.lock() + ".old")
    assert not second.held
    third = Instance()
    assert third.held
    second.release()
    third.release()
