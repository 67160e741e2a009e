"""What whoever started the daemon hears: a line on a pipe, datagrams of systemd."""

import os
import socket
from pathlib import Path

import pytest

from llmsh.boot.notify import Starter


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears(tmp_path: Path, abstract: bool) -> None:
    name = f"llmsh-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}" if abstract else str(tmp_path / name))
        environment = {"NOTIFY_SOCKET": f"@{name}" if abstract else str(tmp_path / name), "OTHER": "1"}
        starter = Starter(environment)
        assert starter.systemd
        assert environment == {"OTHER": "1"}
        starter.ready()
        starter.notify("STOPPING=1")
        assert [sock.recv(100), sock.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_the_pipe_hears_one_line_and_is_closed() -> None:
    for tell, said in ((Starter.ready, b"\n"), (lambda starter: starter.failed("llmshd: no"), b"llmshd: no\n")):
        reader, writer = os.pipe()
        starter = Starter({"LLMSH_READY_FD": str(writer)})
        assert starter.waits
        tell(starter)
        tell(starter)
        assert os.read(reader, 100) == said
        assert os.read(reader, 100) == b""
        os.close(reader)


def test_nobody_waits() -> None:
    starter = Starter({"LLMSH_READY_FD": "x", "NOTIFY_SOCKET": ""})
    assert not starter.waits
    assert not starter.systemd
    starter.ready()


def test_who_has_gone_hears_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Starter({"LLMSH_READY_FD": str(writer), "NOTIFY_SOCKET": str(tmp_path / "none")}).ready()
