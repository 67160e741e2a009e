"""Who is at the other end, asked of the machine's kernel about real processes."""

import os
import pty
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from llmsh.boot.peer import Peer, credentials, stat, terminal


@contextmanager
def child(setup: Callable[[], None]) -> Iterator[int]:
    """A process that has done `setup` and waits."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            setup()
            os.write(writer, b"x")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_credentials_are_those_of_who_connected() -> None:
    one, two = socket.socketpair()
    with one, two:
        assert credentials(one) == (os.getpid(), os.getuid())


def test_a_process_without_a_terminal() -> None:
    with child(os.setsid) as pid:
        peer = Peer(pid, os.getuid())
        assert (peer.sid, peer.tty) == (pid, "")
        assert not peer.foreground()


def test_terminal_and_foreground_follow_the_terminal() -> None:
    outer, inner = pty.openpty()
    name = os.ttyname(inner)

    reader, writer = os.pipe()

    def lead() -> None:
        os.setsid()
        os.close(os.open(name, os.O_RDWR))
        background = os.fork()
        if background:
            return
        os.setpgid(0, 0)
        os.write(writer, b"%d" % os.getpid())
        signal.pause()

    with child(lead) as pid:
        peer, other = Peer(pid, os.getuid()), Peer(int(os.read(reader, 20)), os.getuid())
        assert f"/dev/{peer.tty}" == f"/dev/{other.tty}" == name
        assert (peer.sid, other.sid) == (pid, pid)
        assert peer.foreground()
        assert not other.foreground()
        os.kill(other.pid, signal.SIGKILL)
    for fd in (outer, reader, writer):
        os.close(fd)
    os.close(inner)


def test_stopped_and_continued() -> None:
    with child(lambda: None) as pid:
        peer = Peer(pid, os.getuid())
        assert not peer.stopped()
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        assert peer.stopped()
        peer.cont()
        os.waitpid(pid, os.WCONTINUED)
        assert not peer.stopped()


def test_a_process_that_has_gone_is_nothing() -> None:
    with child(lambda: None) as pid:
        peer = Peer(pid, os.getuid())
    assert not peer.foreground()
    assert not peer.stopped()
    peer.cont()


def test_a_pid_that_is_another_process_by_now_is_left_alone() -> None:
    with child(lambda: None) as pid:
        peer = Peer(pid, os.getuid())
        peer._born = "1"
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        assert not peer.stopped()
        peer.cont()
        assert stat(pid)[0] == "T"


def test_a_name_with_brackets_and_spaces_is_no_trouble() -> None:
    def rename() -> None:
        with open("/proc/self/comm", "w") as file:
            file.write(") R 1 (x")

    with child(rename) as pid:
        assert Peer(pid, 0).sid == os.getsid(0)


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, ""), (-1, ""), (0x8803, "pts/3"), (0x108805, "pts/261"), (0x401, "tty1"), (0x440, "ttyS0"), (0x501, "5:1")],
)
def test_names_of_terminals(number: int, name: str) -> None:
    assert terminal(number) == name


def test_a_peer_of_another_namespace_has_no_pid() -> None:
    peer = Peer(0, 5)
    assert (peer.sid, peer.tty, peer.foreground(), peer.stopped()) == (0, "", False, False)
