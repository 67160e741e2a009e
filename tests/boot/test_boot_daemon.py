"""The daemon as a process: how it begins, what it tells whom, and every way in which it ends."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmsh.abi import paths
from tests.support.daemon import WORDS, Daemon, Wire, environment

pytestmark = pytest.mark.usefixtures("xdg")


@contextmanager
def serving(*options: str, **more: Any) -> Iterator[Daemon]:
    """A daemon that serves; killed at the end if it still lives."""
    daemon = Daemon(*options, **more)
    try:
        assert daemon.said == "\n"
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.stop(signal.SIGKILL)


def run(wire: Wire, **more: Any) -> int:
    """Start an agent; its pid."""
    pid: int = wire.call("run", **{"agent": "ask", "args": ["hi"], **more})["pid"]
    return pid


def said(wire: Wire, words: str) -> None:
    """Wait until dmesg has a line with these words."""
    last = 0
    while True:
        head, _ = wire.answer(wire.post("dmesg", after=last, follow=True))
        rows = head["ok"]["rows"]
        if any(words in row["line"] for row in rows):
            return
        last = rows[-1]["n"]


def test_it_serves_an_agent_and_ends_on_term() -> None:
    with serving() as daemon:
        wire = Wire()
        pid = run(wire)
        assert wire.event("exit", pid=pid)["status"] == 0
        text = wire.output(pid)
        assert text.strip()
        status, err = daemon.stop()
        assert [head["ev"] for head, _ in wire.rest() if "ev" in head][-1] == "bye"
        wire.close()
    assert status == 0
    assert "SIGTERM" in err
    assert not os.path.exists(paths.socket())
    log = Path(paths.state(), "llmshd.log").read_text()
    assert "llmshd has ended" in log
    assert Path(paths.lock()).read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_processes_get_term_and_their_clients_hear_of_the_end(number: int) -> None:
    with serving() as daemon:
        wire = Wire()
        pid = run(wire, params={"ignore_eos": True})
        while not wire.output(pid):
            assert wire.hear()
        daemon.process.send_signal(number)
        assert wire.event("exit", pid=pid)["signal"] == signal.SIGTERM
        wire.event("bye")
        wire.close()
        assert daemon.ended()[0] == 0


LONG_STEP = "fake:ms=600000,deaf=1"
"""A step that does not end in a test's time: its process is not quiet, so TERM alone does not end it."""


def test_who_does_not_end_on_term_is_killed_after_the_grace() -> None:
    with serving("-o", "grace_s=0.05") as daemon:
        wire = Wire()
        pid = run(wire, model=LONG_STEP, params={"grace": 600})
        while wire.call("ps", pids=[pid])["rows"][0]["core"] < 0:
            pass  # until it has cells, and with them a lease
        daemon.process.send_signal(signal.SIGTERM)
        assert wire.event("exit", pid=pid)["signal"] == signal.SIGKILL
        wire.close()
        assert daemon.ended()[0] == 0


def test_a_second_term_ends_it_at_once() -> None:
    with serving("-o", "grace_s=600") as daemon:
        wire = Wire()
        pid = run(wire, model=LONG_STEP, params={"grace": 600})
        while wire.call("ps", pids=[pid])["rows"][0]["core"] < 0:
            pass  # until it has cells, and with them a lease
        daemon.process.send_signal(signal.SIGTERM)
        said(wire, "stopping: SIGTERM")
        daemon.process.send_signal(signal.SIGTERM)
        assert wire.event("exit", pid=pid)["signal"] == signal.SIGKILL
        wire.close()
        assert daemon.ended()[0] == 0


def test_the_shutdown_call_ends_it() -> None:
    with serving() as daemon:
        wire = Wire()
        assert wire.call("shutdown", grace_ms=0) == {}
        wire.rest()
        assert daemon.ended()[0] == 0
        wire.close()


def test_only_one_runs() -> None:
    with serving() as daemon:
        second = Daemon()
        assert second.said == f"llmshd: runs already, as pid {daemon.pid}\n"
        assert second.ended() == (1, second.said)
        wire = Wire()
        wire.call("null")
        wire.close()


def test_after_kill_9_the_next_reports_what_was_running() -> None:
    with serving() as daemon:
        wire = Wire()
        done = run(wire)
        wire.event("exit", pid=done)
        lost = run(wire, params={"ignore_eos": True}, detach=True, stdout="log", stderr="log")
        daemon.stop(signal.SIGKILL)
        wire.close()
    assert os.path.exists(paths.socket())
    with serving() as daemon:
        wire = Wire()
        lines = [row["line"] for row in wire.call("dmesg")["rows"]]
        assert f"ask[{lost}]: lost with the last daemon; its status is 137" in lines
        assert wire.call("wait", pid=lost)["status"] == 137
        assert wire.call("wait", pid=done)["status"] == 0
        assert run(wire) > lost
        wire.close()
        daemon.stop()
    with serving():
        wire = Wire()
        assert not any("lost" in row["line"] for row in wire.call("dmesg")["rows"])
        assert wire.call("wait", pid=lost)["status"] == 137
        wire.close()


def test_logs_of_a_detached_process_outlive_the_daemon() -> None:
    with serving() as daemon:
        wire = Wire()
        attached = run(wire)
        wire.event("exit", pid=attached)
        pid = run(wire, detach=True, stdout="log", stderr="log")
        assert wire.call("wait", pid=pid)["status"] == 0
        wire.close()
        daemon.stop()
    with serving():
        again = Wire()
        _, text = again.answer(again.post("logs", pid=pid))
        again.close()
    assert text == wire.output(attached) != b""


# Who starts it.


def test_systemd_hands_over_a_socket_and_hears_of_it(tmp_path: Path) -> None:
    place = str(tmp_path / "given.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(place)
    listener.listen(8)
    ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ears.settimeout(60)
    ears.bind(str(tmp_path / "notify"))
    early = Wire(place, greet=False)
    script = 'exec 3<&"$1"; export LISTEN_PID=$$ LISTEN_FDS=1; shift; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", str(listener.fileno()), *WORDS, "--foreground", "-o", "idle_exit_s=0.01"],
        env=environment(NOTIFY_SOCKET=str(tmp_path / "notify")),
        pass_fds=(listener.fileno(),),
        stderr=subprocess.DEVNULL,
    )
    assert ears.recv(100) == b"READY=1"
    assert early.call("hello", major=1)["pid"] == process.pid
    assert not os.path.exists(paths.socket())
    process.terminate()
    assert ears.recv(100) == b"STOPPING=1"
    assert process.wait(60) == 0
    assert os.path.exists(place)
    for sock in (listener, ears, early.sock):
        sock.close()


def started_by_a_command(*options: str) -> tuple["subprocess.Popen[bytes]", str]:
    """The way commands start it: no --foreground, a pipe to be ready on."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*WORDS, "-o", "model=fake", *options], env=environment(LLMSH_READY_FD=str(writer)), pass_fds=(writer,)
    )
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        return process, pipe.readline()


def test_with_nothing_to_do_it_leaves() -> None:
    process, said = started_by_a_command("-o", "idle_exit_s=0.01")
    assert said == "\n"
    assert process.wait(60) == 0
    assert not os.path.exists(paths.socket())
    assert "nothing to do" in Path(paths.state(), "llmshd.log").read_text()


def test_by_hand_it_becomes_a_daemon_and_the_starter_waits_until_it_serves() -> None:
    extra, other = os.pipe()
    code = (
        "import os, signal, sys;"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1]);"
        "signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "os.umask(0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = subprocess.run(
        [WORDS[0], "-c", code, *WORDS],
        env=environment(SECRET="x", LC_TIME="C"),
        pass_fds=(extra, other),
        capture_output=True,
        timeout=60,
        check=False,
    )
    os.close(other)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wire = Wire()
    pid = int(wire.call("hello", major=1)["pid"])
    proc = Path(f"/proc/{pid}")
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
    variables = (proc / "environ").read_bytes()
    named = {fd: os.readlink(proc / "fd" / fd) for fd in ("0", "1", "2")}
    assert os.readlink(proc / "cwd") == "/"
    assert status["Umask"] == "0077"
    assert int(status["SigBlk"], 16) == 0
    # What lies above the standard signals is the C library's, or the machine's that started the tests.
    standard = (1 << 31) - 1
    assert int(status["SigIgn"], 16) & standard == 1 << (signal.SIGHUP - 1) | 1 << (signal.SIGPIPE - 1)
    assert named == {"0": "/dev/null", "1": "/dev/null", "2": str(Path(paths.state(), "llmshd.log"))}
    assert os.getsid(pid) not in (os.getsid(0), pid)
    assert int((proc / "stat").read_text().rpartition(") ")[2].split()[4]) == 0
    # Nobody but this test holds the pipe any more: its other end is at the end of file.
    os.set_blocking(extra, False)
    assert os.read(extra, 1) == b""
    os.close(extra)
    assert int(status["VmRSS"].split()[0]) < 60 * 1024
    assert b"XDG_STATE_HOME=" in variables
    wire.call("shutdown", grace_ms=0)
    wire.rest()
    wire.close()


def test_what_keeps_it_from_serving_is_one_line_to_whoever_started_it(xdg: Path) -> None:
    (xdg / "config" / "llmsh").mkdir()
    file = xdg / "config" / "llmsh" / "llmshd.toml"
    file.write_text("cells = -1\n")
    line = f"llmshd: {file}:1: cells: expected a whole number, at least 64\n"
    daemon = Daemon()
    assert daemon.said == line
    assert daemon.ended() == (2, line)
    process, said = started_by_a_command()
    assert (said, process.wait(60)) == (line, 2)
    done = subprocess.run(WORDS, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_an_unsafe_runtime_folder_is_refused_in_one_line() -> None:
    os.mkdir(paths.runtime(), 0o755)
    os.chmod(paths.runtime(), 0o755)
    line = f"llmshd: {paths.runtime()}: has mode 0755; it must be 0700\n"
    assert Daemon().ended() == (1, line)
    # By hand, what goes wrong after the fork still reaches the terminal.
    done = subprocess.run(WORDS, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, line)


def test_a_damaged_journal_is_one_line() -> None:
    os.makedirs(paths.state(), 0o700)
    Path(paths.state(), "journal.db").write_bytes(b"no database" * 100)
    status, err = Daemon().ended()
    assert status == 1
    assert err.count("\n") == 1
    assert "move it away" in err


# What may happen to its files.


def test_a_socket_that_was_removed_is_made_again() -> None:
    with serving() as daemon:
        wire = Wire()
        last = wire.call("dmesg")["rows"][-1]["n"]
        shutil.rmtree(paths.runtime())
        head, _ = wire.answer(wire.post("dmesg", after=last, follow=True))
        assert "the socket was gone" in head["ok"]["rows"][0]["line"]
        other = Wire()
        assert other.call("hello", major=1)["pid"] == daemon.pid
        wire.close()
        other.close()


def test_without_its_state_folder_it_leaves() -> None:
    with serving() as daemon:
        os.rename(paths.state(), paths.state() + ".old")
        status, err = daemon.ended()
        assert status == 0
        assert "state folder" in err


def test_bytes_that_are_no_frames_leave_nothing_behind() -> None:
    with serving() as daemon:
        wire = Wire()
        before = wire.call("check")
        for number in range(100):
            bad = Wire(greet=False)
            bad.sock.sendall(bytes([0, 0, 0, 8, 0, 0, 0, number]) + b"null")
            if number < 5:  # a frame that may still become whole: the client gives up first
                bad.sock.shutdown(socket.SHUT_WR)
            bad.rest()
            bad.close()
        assert wire.call("check") == before
        wire.close()
        assert daemon.stop()[0] == 0
