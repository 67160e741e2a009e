"""map: an agent over lines, over the fake model."""

import os
import signal
import subprocess

import pytest

from tests.support.client import NO_SPACE, WORDS, environment, llmsh, refused
from tests.support.daemon import Daemon
from tests.support.endless import WITHOUT_END

pytestmark = pytest.mark.usefixtures("shared")


def started(*argv: str, **options: int) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen([*WORDS, "map", *argv], stdin=pipe, stdout=pipe, stderr=pipe, env=environment(), **options)  # type: ignore[call-overload, no-any-return]  # options of many types


def pids(client: int) -> list[str]:
    return llmsh("ps", "--ppid", str(client), "-o", "pid=").stdout.split()


def test_answers_come_in_the_order_of_the_lines() -> None:
    lines = [f"line {n}" for n in range(5)]
    wanted = "".join(f"{llmsh('run', 'ask', line).stdout}" for line in lines)
    done = llmsh("map", "-P", "3", "ask", stdin="\n\n".join(lines))
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted, "")
    loose = llmsh("map", "-u", "ask", stdin="\n".join(lines))
    assert sorted(loose.stdout.splitlines()) == sorted(wanted.splitlines())


def test_lines_and_marks() -> None:
    both = llmsh("run", "ask", "a\nb").stdout
    assert llmsh("map", "-n", "2", "ask", stdin="a\nb\n").stdout == both
    assert llmsh("map", "-0", "ask", stdin="a\nb").stdout == both
    assert llmsh("map", "-d", r"\x3b", "ask", stdin="a\nb;").stdout == both
    assert llmsh("map", "ask", "say", stdin="b").stdout == llmsh("run", "ask", "say b").stdout


def test_so_many_at_once() -> None:
    with started("-P", "3", *WITHOUT_END, "ask") as client:
        assert client.stdin is not None
        client.stdin.write(b"1\n2\n3\n4\n5\n")
        client.stdin.close()
        while len(running := pids(client.pid)) < 3:
            pass
        llmsh("kill", "-KILL", running[0])
        assert client.stderr is not None
        assert b"ended by KILL" in client.stderr.readline()
        assert len(pids(client.pid)) == 2, "one that was ended by a signal ends the starting of others"
        llmsh("kill", "-KILL", *running[1:])
        assert client.wait() == 125


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_map_dies_by_it(number: int) -> None:
    with started("-P", "3", *WITHOUT_END, "ask") as client:
        assert client.stdin is not None
        client.stdin.write(b"1\n2\n3\n4\n")
        client.stdin.flush()
        while len(pids(client.pid)) < 3:
            pass
        client.send_signal(number)
        assert client.wait() == -number
        assert client.stderr is not None
        assert client.stderr.read() == b""
        assert pids(client.pid) == []


def test_a_stop_stops_all() -> None:
    with started("-P", "2", *WITHOUT_END, "ask", process_group=0) as client:
        assert client.stdin is not None
        client.stdin.write(b"1\n2\n")
        client.stdin.flush()
        while len(pids(client.pid)) < 2:
            pass
        # Its group has a parent in its session, so the stop is real.
        os.kill(client.pid, signal.SIGTSTP)
        assert os.WIFSTOPPED(os.waitpid(client.pid, os.WUNTRACED)[1])
        states = llmsh("ps", "--ppid", str(client.pid), "-o", "s=").stdout.split()
        assert states == ["T", "T"]
        os.kill(client.pid, signal.SIGCONT)
        os.kill(client.pid, signal.SIGTERM)
        assert client.wait() == -signal.SIGTERM


def test_a_reader_that_goes_away_ends_it() -> None:
    words = " ".join(WORDS)
    script = f"yes | {words} map ask | head -3 | wc -l; echo ${{PIPESTATUS[*]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env=environment())
    assert done.stdout.split()[:3] == [b"3", b"141", b"141"]
    assert llmsh("pgrep", "ask").returncode == 1


def test_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*WORDS, "map", "ask"], input=b"1\n2\n", stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert (done.returncode, done.stderr.decode()) == (1, f"map: {NO_SPACE}")


def test_nothing_to_do() -> None:
    done = llmsh("map", "ask", stdin="\n \n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_statuses_of_those_that_fail() -> None:
    done = llmsh("map", "--tokens", "2", "ask", stdin="1\n2\n")
    assert done.returncode == 123
    done = llmsh("map", "nobody", stdin="1\n2\n")
    assert (done.returncode, done.stdout, done.stderr) == (127, "", "map: nobody: no such agent\n")


def test_a_line_that_is_too_long_is_said() -> None:
    done = llmsh("map", "ask", stdin="1\n" + "x" * 140_000)
    assert done.returncode == 1
    assert done.stderr == "map: line 2: longer than 131072 bytes\n"
    assert done.stdout == llmsh("run", "ask", "1").stdout


def test_wrong_command_lines() -> None:
    for argv, cause in (
        ((), "which agent?"),
        (("-P", "-1", "ask"), "--max-procs: expected 0 or more"),
        (("-n", "0", "ask"), "--lines: expected 1 or more"),
        (("-d", "ab", "ask"), "--delimiter: 'ab' is not one byte"),
        (("ask", "-"), "standard input has the lines"),
        (("ask", "--bogus"), "unknown option"),
    ):
        assert cause in refused("map", *argv)


def test_a_session_that_is_full_is_waited_for(xdg: object) -> None:
    daemon = Daemon("-o", "nproc=3")
    try:
        for width in ("8", "0"):
            done = llmsh("map", "-P", width, "ask", stdin="\n".join(map(str, range(9))))
            assert (done.returncode, done.stderr) == (0, "")
            assert len(done.stdout.splitlines()) == 9
    finally:
        daemon.stop()
