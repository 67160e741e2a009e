"""Waiting for descriptors: above those of select(2), too, and for times that poll(2) cannot hold."""

import os
import socket
import sys

from llmsh.lib.poll import readable
from tests.support.crowd import FULL, crowded

_WAITING = """
import socket
from llmsh.lib.conn import Connection
ours, theirs = socket.socketpair()
conn = Connection(ours)
print(conn.fileno(), conn.waiting())
theirs.send(b"x")
print(conn.waiting())
"""


def test_what_has_come_is_told_of_and_so_is_an_end() -> None:
    (first, second), (silent, other) = socket.socketpair(), socket.socketpair()
    with first, second, silent, other:
        second.send(b"x")
        assert readable(first.fileno(), silent.fileno()) == {first.fileno()}
        other.close()
        assert readable(first.fileno(), silent.fileno()) == {first.fileno(), silent.fileno()}
        assert readable(second.fileno(), seconds=0) == set()


def test_a_time_that_is_too_long_for_the_machine_is_a_long_time() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    assert readable(reader, seconds=1e9) == {reader}
    os.close(reader)


def test_a_connection_above_the_descriptors_of_select() -> None:
    with crowded(sys.executable, "-c", _WAITING) as process:
        out, err = process.communicate(timeout=60)
    number, *said = out.split()
    assert (process.returncode, said, err) == (0, ["False", "True"], "")
    assert int(number) >= FULL
