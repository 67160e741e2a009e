"""The foreground client against a scripted kernel: bytes, signals, stops and endings."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import WORDS, Child, environment
from tests.support.jobcontrol import Job
from tests.support.wireserver import Call, WireServer

PID = 1 << 22


class Terminal:
    """A pseudo-terminal: `end` is ours, `fd` the client's."""

    def __init__(self) -> None:
        self.end, self.fd = os.openpty()

    def read(self, wanted: bytes) -> bytes:
        """Read until this is there."""
        seen = b""
        while wanted not in seen:
            seen += os.read(self.end, 4096)
        return seen


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    os.close(made.end)
    os.close(made.fd)


def start(*argv: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen([*WORDS, *argv], stdin=stdin, stdout=pipe, stderr=pipe, env=environment())


def finish(run: Call, status: int = 0, sig: int = 0) -> None:
    run.link.event("exit", pid=PID, status=status, signal=sig, reason="")


def test_output_is_written_and_acknowledged(server: WireServer) -> None:
    client = start("run", "ask", "why?")
    run = server.begin(agent="ask", args=["why?"], stdin="null", stdout="client", stderr="client")
    run.link.event("out", b"be\xffcause\x1b[31m", pid=PID, fd=1)
    assert server.expect("ack").args == {"pid": PID, "fd": 1, "n": 13}
    run.link.event("out", b"note\n", pid=PID, fd=2)
    assert server.expect("ack").args == {"pid": PID, "fd": 2, "n": 5}
    finish(run, 7)
    out, err = client.communicate()
    assert (client.returncode, out, err) == (7, b"be\xffcause\x1b[31m", b"note\n")


def test_input_is_read_only_when_it_is_wanted(server: WireServer) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\n")
    client = start("run", "filter", stdin=reader)
    run = server.begin(stdin="client")
    run.link.event("want", pid=PID, fd=0, n=4)
    first = server.expect("write")
    assert (first.body, first.args["eof"]) == (b"one\n", False)
    finish(run)
    client.communicate()
    os.close(writer)
    assert os.read(reader, 99) == b"two\n", "what was not wanted is left for the next reader"
    os.close(reader)


def test_the_end_of_the_input_is_told(server: WireServer) -> None:
    client = start("run", "filter")
    run = server.begin(stdin="client")
    run.link.event("want", pid=PID, fd=0, n=4096)
    write = server.expect("write")
    assert (write.body, write.args["eof"]) == (b"", True)
    finish(run)
    client.communicate()
    assert client.returncode == 0


def test_a_closed_input_is_one_line_and_status_1(server: WireServer) -> None:
    words = " ".join(WORDS)
    client = subprocess.Popen(["sh", "-c", f"exec {words} run filter <&-"], stderr=subprocess.PIPE, env=environment())
    run = server.begin(stdin="client")
    run.link.event("want", pid=PID, fd=0, n=4096)
    assert server.expect("write").args["eof"]
    finish(run)
    assert client.communicate()[1] == b"run: standard input: Bad file descriptor\n"
    assert client.returncode == 1


def test_a_reader_that_goes_away_closes_the_descriptor_at_once(server: WireServer) -> None:
    client = start("run", "ask", "x")
    run = server.begin()
    assert client.stdout is not None
    assert client.stderr is not None
    client.stdout.close()
    client.stderr.close()
    assert server.expect("close").args == {"pid": PID, "fd": 1}
    finish(run, 141, signal.SIGPIPE)
    assert client.wait() == -signal.SIGPIPE


def test_a_full_disk_is_one_line_and_status_1(server: WireServer) -> None:
    with Path("/dev/full").open("wb") as full:
        words = [*WORDS, "run", "ask", "x"]
        client = subprocess.Popen(
            words, stdout=full, stderr=subprocess.PIPE, env=environment(), stdin=subprocess.DEVNULL
        )
    run = server.begin()
    run.link.event("out", b"text", pid=PID, fd=1)
    assert server.expect("close").args == {"pid": PID, "fd": 1}
    finish(run, 141, signal.SIGPIPE)
    assert client.communicate()[1] == b"run: write error: No space left on device\n"
    assert client.returncode == 1


def test_a_closed_output_is_one_line_and_status_1(server: WireServer) -> None:
    words = " ".join(WORDS)
    client = subprocess.Popen(
        ["sh", "-c", f"exec {words} run ask x >&-"], stderr=subprocess.PIPE, env=environment(), stdin=subprocess.DEVNULL
    )
    run = server.begin()
    run.link.event("out", b"text", pid=PID, fd=1)
    server.expect("close")
    finish(run, 141, signal.SIGPIPE)
    assert client.communicate()[1] == b"run: write error: Bad file descriptor\n"
    assert client.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_is_passed_on_and_died_of(server: WireServer, number: signal.Signals) -> None:
    client = start("run", "ask", "x")
    run = server.begin()
    run.link.event("out", b".", pid=PID, fd=1)
    server.expect("ack")
    client.send_signal(number)
    kill = server.expect("kill")
    assert kill.args == {"pid": -PID, "sig": number}
    kill.ok(sent=1)
    finish(run, 128 + number, number)
    client.communicate()
    assert client.returncode == -number


def test_an_agent_that_catches_int_goes_on(server: WireServer) -> None:
    client = start("run", "chat", "x")
    run = server.begin()
    run.link.event("out", b".", pid=PID, fd=1)
    server.expect("ack")
    for _ in range(3):
        client.send_signal(signal.SIGINT)
        server.expect("kill").ok(sent=1)
        run.link.event("out", b">", pid=PID, fd=1)
        server.expect("ack")  # so the answer has arrived, too
    finish(run, 0)
    client.communicate()
    assert client.returncode == 0


def test_a_kernel_that_does_not_answer_cannot_hold_the_user(server: WireServer) -> None:
    client = start("run", "ask", "x")
    run = server.begin()
    run.link.event("out", b".", pid=PID, fd=1)
    server.expect("ack")
    client.send_signal(signal.SIGINT)
    server.expect("kill")
    client.send_signal(signal.SIGINT)
    client.communicate()
    assert client.returncode == -signal.SIGINT


def test_an_ignored_signal_stays_ignored(server: WireServer) -> None:
    reader, writer = os.pipe()
    client = Child(["run", "ask", "x"], stdin=reader, stdout=writer, stderr=writer, ignore=[signal.SIGHUP])
    run = server.begin()
    run.link.event("out", b".", pid=PID, fd=1)
    server.expect("ack")
    client.kill(signal.SIGHUP)
    client.kill(signal.SIGTERM)
    assert server.expect("kill").args["sig"] == signal.SIGTERM, "nohup holds HUP off"
    finish(run, 0)
    assert client.ended() == 0
    os.close(reader)
    os.close(writer)


def test_ctrl_z_stops_the_agents_then_the_client(server: WireServer) -> None:
    with Job(["run", "ask", "x"]) as job:
        run = server.begin()
        run.link.event("out", b"ready", pid=PID, fd=1)
        server.expect("ack")
        job.type(b"\x1a")
        kill = server.expect("kill")
        assert kill.args == {"pid": -PID, "sig": signal.SIGTSTP}
        run.link.event("stat", pid=PID, stat="T")
        kill.ok(sent=1)
        assert job.next() == f"stopped {signal.SIGTSTP:d}"
        job.foreground()
        cont = server.expect("kill")
        assert cont.args == {"pid": -PID, "sig": signal.SIGCONT}
        run.link.event("stat", pid=PID, stat="R")
        cont.ok(sent=1)
        finish(run, 5)
        assert job.next() == "ended 5"


def test_ctrl_c_ends_the_agent_and_the_client_dies_of_it(server: WireServer) -> None:
    with Job(["run", "ask", "x"]) as job:
        run = server.begin()
        run.link.event("out", b"ready", pid=PID, fd=1)
        server.expect("ack")
        job.type(b"\x03")
        kill = server.expect("kill")
        assert kill.args["sig"] == signal.SIGINT
        kill.ok(sent=1)
        finish(run, 130, signal.SIGINT)
        assert job.next() == f"ended {-signal.SIGINT:d}"


def test_a_note_begins_on_a_new_line_of_the_terminal_that_the_output_is_on(
    server: WireServer, terminal: Terminal
) -> None:
    client = Child(["run", "ask", "x"], stdin=terminal.fd, stdout=terminal.fd, stderr=terminal.fd)
    run = server.begin()
    for fd, text in ((1, b"owp"), (2, b"ask: first\n"), (1, b"whole\n"), (2, b"ask: second\n"), (2, b"ask: third\n")):
        run.link.event("out", text, pid=PID, fd=fd)
        assert server.expect("ack").args == {"pid": PID, "fd": fd, "n": len(text)}
    finish(run, 1)
    assert client.ended() == 1
    assert terminal.read(b"third\r\n") == b"owp\r\nask: first\r\nwhole\r\nask: second\r\nask: third\r\n"


def test_a_note_on_a_terminal_waits_for_the_output_before_it(server: WireServer, terminal: Terminal) -> None:
    client = Child(["run", "ask", "x"], stdin=terminal.fd, stdout=terminal.fd, stderr=terminal.fd)
    run = server.begin()
    text = b"x" * 9000
    run.link.event("out", text, pid=PID, fd=1)
    run.link.event("out", b"ask: note\n", pid=PID, fd=2)
    finish(run, 1)
    assert terminal.read(b"note\r\n") == text + b"\r\nask: note\r\n"
    assert client.ended() == 1


def test_a_daemon_that_goes_away_is_told_on_a_new_line(server: WireServer, terminal: Terminal) -> None:
    client = Child(["run", "ask", "x"], stdin=terminal.fd, stdout=terminal.fd, stderr=terminal.fd)
    run = server.begin()
    run.link.event("out", b"owp", pid=PID, fd=1)
    server.expect("ack")
    run.link.close()
    assert terminal.read(b"away").startswith(b"owp\r\nrun: ")
    assert client.ended() == 1


def test_notes_on_another_terminal_or_a_pipe_are_as_they_are(server: WireServer, terminal: Terminal) -> None:
    reader, writer = os.pipe()
    client = Child(["run", "ask", "x"], stdin=terminal.fd, stdout=terminal.fd, stderr=writer)
    os.close(writer)
    run = server.begin()
    run.link.event("out", b"owp", pid=PID, fd=1)
    server.expect("ack")
    run.link.event("out", b"ask: note\n", pid=PID, fd=2)
    server.expect("ack")
    finish(run, 1)
    assert client.ended() == 1
    assert os.read(reader, 100) == b"ask: note\n"
    os.close(reader)


def test_a_background_read_of_the_terminal_is_ttin(server: WireServer) -> None:
    with Job(["run", "chat"], background=True) as job:
        run = server.begin(stdin="client")
        assert run.args["params"] == {"tty": True}
        run.link.event("want", pid=PID, fd=0, n=4096)
        kill = server.expect("kill")
        assert kill.args == {"pid": -PID, "sig": signal.SIGTTIN}
        run.link.event("stat", pid=PID, stat="T")
        kill.ok(sent=1)
        assert job.next() == f"stopped {signal.SIGTTIN:d}"
        job.foreground()
        server.expect("kill").ok(sent=1)
        run.link.event("stat", pid=PID, stat="R")
        job.type(b"hello\n")
        assert server.expect("write").body == b"hello\n"
        finish(run, 0)
        assert job.next() == "ended 0"


def test_where_nobody_could_continue_it_a_stop_is_none(server: WireServer, terminal: Terminal) -> None:
    # A session leader's group is orphaned: TSTP stops no program there, so the agents go on as well.
    client = Child(["run", "ask", "x"], stdin=terminal.fd, stdout=terminal.fd, stderr=terminal.fd)
    run = server.begin()
    run.link.event("out", b".", pid=PID, fd=1)
    server.expect("ack")
    client.kill(signal.SIGTSTP)
    server.expect("kill").ok(sent=1)
    cont = server.expect("kill")
    assert cont.args == {"pid": -PID, "sig": signal.SIGCONT}
    cont.ok(sent=1)
    finish(run, 0)
    assert client.ended() == 0


def test_a_stop_from_elsewhere_stops_the_client_too(server: WireServer) -> None:
    reader, writer = os.pipe()
    client = Child(["run", "ask", "x"], stdin=reader, stdout=writer, stderr=writer)
    run = server.begin()
    run.link.event("stat", pid=PID, stat="T")
    assert client.stopped() == signal.SIGSTOP
    client.kill(signal.SIGCONT)
    cont = server.expect("kill")
    assert cont.args == {"pid": -PID, "sig": signal.SIGCONT}
    run.link.event("stat", pid=PID, stat="T")  # sent before our CONT arrived: an old story
    run.link.event("stat", pid=PID, stat="R")
    cont.ok(sent=1)
    finish(run, 3)
    assert client.ended() == 3
    os.close(reader)
    os.close(writer)


def stopped_client(server: WireServer) -> tuple[Child, Call]:
    null = os.open("/dev/null", os.O_RDWR)
    client = Child(["run", "ask", "x"], stdin=null, stdout=null, stderr=null)
    os.close(null)
    run = server.begin()
    run.link.event("stat", pid=PID, stat="T")
    assert client.stopped() == signal.SIGSTOP
    return client, run


def test_a_stopped_client_hears_that_its_agents_go_on(server: WireServer) -> None:
    client, run = stopped_client(server)
    run.link.event("stat", pid=PID, stat="R")
    run.link.event("out", b".", pid=PID, fd=1)
    server.expect("ack")
    finish(run, 4)
    assert client.ended() == 4


def test_a_stopped_client_hears_that_its_agents_were_killed(server: WireServer) -> None:
    client, run = stopped_client(server)
    finish(run, 137, signal.SIGKILL)
    assert client.ended() == -signal.SIGKILL


def test_a_stop_and_a_continuation_that_come_together_leave_the_client_running(server: WireServer) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    client = Child(["run", "ask", "x"], stdin=null, stdout=null, stderr=null)
    os.close(null)
    run = server.begin()
    for _ in range(200):
        run.link.event("stat", pid=PID, stat="T")
        run.link.event("stat", pid=PID, stat="R")
    finish(run, 6)
    assert client.ended() == 6


def test_a_terminal_shows_controls(server: WireServer, terminal: Terminal) -> None:
    client = Child(["run", "ask", "x"], stdin=terminal.fd, stdout=terminal.fd, stderr=terminal.fd)
    run = server.begin()
    run.link.event("out", b"a\x1b]0;title\x07\xc3", pid=PID, fd=1)
    run.link.event("out", b"\xa4\xe2\x80\xaeb\r\xff\n", pid=PID, fd=1)
    assert terminal.read(b"\n") == "a^[]0;title^Gä<U+202E>b^M<FF>\r\n".encode()
    server.expect("ack")
    finish(run)
    assert client.ended() == 0


def test_a_daemon_that_goes_away_is_one_line(server: WireServer) -> None:
    client = start("run", "ask", "x")
    run = server.begin()
    run.link.close()
    assert client.communicate() == (b"", b"run: the daemon went away\n")
    assert client.returncode == 1


def test_an_error_of_the_call_is_one_line_with_its_status(server: WireServer) -> None:
    client = start("run", "nobody", "x")
    server.expect("run").fail("ENOENT", "nobody: no such agent")
    assert client.communicate() == (b"", b"run: nobody: no such agent\n")
    assert client.returncode == 127
