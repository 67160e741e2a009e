"""The fan-out against a scripted kernel: what it holds is bounded."""

import subprocess

from llmsh.lib.fanout import WINDOW
from tests.support.client import WORDS, environment
from tests.support.wireserver import WireServer

FIRST = 1 << 22


def test_a_slow_first_line_stops_the_starting_of_others(server: WireServer) -> None:
    pipe = subprocess.PIPE
    client = subprocess.Popen([*WORDS, "map", "-P", "2", "ask"], stdin=pipe, stdout=pipe, env=environment())
    assert client.stdin is not None
    client.stdin.write(b"".join(b"%d\n" % n for n in range(WINDOW + 10)))
    client.stdin.flush()
    run = server.begin(FIRST)
    link = run.link
    for n in range(1, WINDOW + 2):
        run = server.begin(FIRST + n, pgid=FIRST)
        assert run.args["args"] == [str(n)]
        link.event("exit", pid=FIRST + n, status=0, signal=0, reason="")
        assert server.expect("wait").args == {"pid": FIRST + n}
    # It has filled its window before it answers this: what it would start, it would have started.
    link.event("out", b"slow", pid=FIRST, fd=1)
    assert server.expect("ack").args == {"pid": FIRST, "fd": 1, "n": 4}
    link.event("exit", pid=FIRST, status=0, signal=0, reason="")
    server.expect("wait")
    server.expect("run")
    assert client.stdout is not None
    assert client.stdout.read(5) == b"slow\n"
    client.kill()
    client.communicate()


def test_an_answer_that_waits_for_its_turn_is_held_to_a_bound(server: WireServer) -> None:
    pipe = subprocess.PIPE
    client = subprocess.Popen([*WORDS, "map", "-P", "2", "ask"], stdin=pipe, stdout=pipe, env=environment())
    assert client.stdin is not None
    client.stdin.write(b"one\ntwo\n")
    client.stdin.close()
    client.stdin = None
    link = server.begin(FIRST).link
    server.begin(FIRST + 1, pgid=FIRST)
    piece = b"x" * 12_000
    link.event("out", piece, pid=FIRST + 1, fd=1)
    assert server.expect("ack").args == {"pid": FIRST + 1, "fd": 1, "n": len(piece)}
    link.event("out", piece, pid=FIRST + 1, fd=1)  # beyond the bound: not acknowledged until it is written
    link.event("out", b"first", pid=FIRST, fd=1)
    assert server.expect("ack").args["pid"] == FIRST
    link.event("exit", pid=FIRST, status=0, signal=0, reason="")
    server.expect("wait")
    acked = 0
    while acked < len(piece):
        call = server.expect("ack")
        assert call.args["pid"] == FIRST + 1
        acked += call.args["n"]
    link.event("exit", pid=FIRST + 1, status=0, signal=0, reason="")
    assert client.communicate()[0] == b"first\n" + 2 * piece + b"\n"
    assert client.returncode == 0
