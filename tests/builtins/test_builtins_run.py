"""run, wait, logs and timeout over a daemon with the fake model."""

import os
import signal
import subprocess
import sys

import pytest

from llmsh.lib import calls
from llmsh.lib.conn import dial
from tests.support.client import NO_SPACE, WORDS, environment, into_full, llmsh, refused
from tests.support.daemon import Daemon
from tests.support.endless import WITHOUT_END, Endless
from tests.support.jobcontrol import Job

pytestmark = pytest.mark.usefixtures("daemon")


def test_run_prints_the_answer_and_ends_with_its_status() -> None:
    done = llmsh("run", "--max-tokens", "8", "ask", "why", "not?")
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr == ""


def test_run_without_text_reads_its_input() -> None:
    assert llmsh("run", "ask", stdin="why?").stdout
    empty = llmsh("run", "ask", stdin="")
    assert (empty.returncode, empty.stdout, empty.stderr) == (1, "", "ask: no input\n")


def test_a_loop_keeps_its_list() -> None:
    words = " ".join(WORDS)
    script = f'while read f; do {words} run ask --max-tokens 3 "$f" >/dev/null; echo "$f"; done'
    done = subprocess.run(
        ["sh", "-c", script], input=b"one\ntwo\nthree\n", capture_output=True, check=True, env=environment()
    )
    assert done.stdout == b"one\ntwo\nthree\n"


def test_ctrl_c_ends_a_loop() -> None:
    words = " ".join([*WORDS, "run", *WITHOUT_END, "ask", "x"])
    loop = subprocess.Popen(
        ["bash", "-c", f"for i in 1 2 3; do {words}; done"],
        stdout=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    assert loop.stdout is not None
    loop.stdout.read(1)
    os.killpg(loop.pid, signal.SIGINT)
    loop.communicate()
    assert loop.returncode == -signal.SIGINT


def test_a_reader_that_goes_away_ends_the_agent() -> None:
    words = " ".join([*WORDS, "run", *WITHOUT_END, "ask", "x"])
    script = f"{words} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env=environment())
    assert done.stdout == b"141\n"
    assert llmsh("pgrep", "ask").returncode == 1


def test_options_are_checked_before_anything_runs() -> None:
    for argv, cause in (
        ((), "which agent?"),
        (("--temp", "hot", "ask"), "--temp: 'hot' is not a number"),
        (("ask", "--bogus"), "run: ask: --bogus: unknown option (see `llmsh run ask --help`)"),
        (("--logit-bias", "a=b", "ask", "x"), "--logit-bias"),
        (("-d", "--json-schema", "/nonexistent", "ask", "x"), "/nonexistent: No such file or directory"),
    ):
        done = llmsh("run", *argv)
        assert done.returncode == 2, argv
        assert done.stdout == ""
        assert cause in done.stderr
        assert done.stderr.count("\n") == 1


def test_what_is_no_agent_is_127() -> None:
    done = llmsh("run", "nobody", "x")
    assert (done.returncode, done.stderr) == (127, "run: nobody: no such agent\n")


def test_help_of_an_agent_has_its_options_and_the_general_ones() -> None:
    text = llmsh("run", "ask", "--help").stdout
    assert text.startswith("Usage: ask ")
    assert "--temperature=T" in text


def test_the_time_limit_is_124() -> None:
    assert llmsh("run", "--timeout", "0.2", *WITHOUT_END, "ask", "x").returncode == 124


def test_detached_prints_its_pid_and_leaves_a_log_and_a_status() -> None:
    started = llmsh("run", "-d", "--max-tokens", "5", "ask", "x")
    assert (started.returncode, started.stderr) == (0, "")
    pid = started.stdout.strip()
    assert int(pid) >= 1 << 22
    assert llmsh("wait", pid).returncode == 0
    log = llmsh("logs", pid).stdout
    assert log
    assert llmsh("logs", "-f", "-n", "1", pid).stdout == log.splitlines(keepends=True)[-1]
    assert llmsh("logs", "-n", "0", pid).stdout == ""
    assert llmsh("wait", pid).returncode == 0, "the status is kept"


def test_detached_reads_its_input_and_a_substitution_around_it_ends() -> None:
    words = " ".join(WORDS)
    script = f'pid=$(echo why | {words} run -d --max-tokens 5 ask); {words} wait $pid; echo "$? $({words} logs $pid)"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env=environment(), timeout=60)
    assert done.stdout.startswith(b"0 ")
    assert len(done.stdout) > 4
    assert done.stderr == b""


def test_detached_cannot_read_a_terminal() -> None:
    with Job(["run", "-d", "ask"]) as job:
        assert b"-d cannot read a terminal" in job.read(b"\n")
        assert job.next() == "ended 2"


def test_errors_of_a_detached_start_reach_the_caller() -> None:
    for stdin, argv in (("x", ("nobody",)), ("", ("nobody", "x"))):
        done = llmsh("run", "-d", *argv, stdin=stdin)
        assert (done.returncode, done.stdout, done.stderr) == (127, "", "run: nobody: no such agent\n")


def test_stop_stops_the_tokens_and_cont_goes_on_where_it_was() -> None:
    undisturbed = llmsh("run", "--ignore-eos", "--max-tokens", "600", "ask", "go on").stdout
    with Endless("--max-tokens", "600") as agent:
        pid = str(agent.pid)
        assert llmsh("kill", "-STOP", pid).returncode == 0
        made = llmsh("ps", "-o", "stat=,tout=", "-p", pid).stdout
        assert made.startswith("T")
        assert os.WIFSTOPPED(os.waitpid(agent.client.pid, os.WUNTRACED)[1]), "the client stops with it"
        assert llmsh("ps", "-o", "stat=,tout=", "-p", pid).stdout == made
        assert llmsh("kill", "-CONT", pid).returncode == 0
        assert agent.client.stdout is not None
        assert undisturbed.endswith(agent.client.stdout.read().decode())
        assert agent.drained() == 0
        assert int(made.split()[1]) < 600


def test_ctrl_z_and_fg_on_a_terminal() -> None:
    with Job(["run", *WITHOUT_END, "ask", "x"]) as job:
        job.read(b" ")
        job.type(b"\x1a")
        assert job.next() == f"stopped {signal.SIGTSTP:d}"
        assert llmsh("ps", "-e", "-C", "ask", "-o", "stat=").stdout.split()[-1].startswith("T")
        job.foreground()
        job.read(b" ")
        job.type(b"\x03")
        assert job.next() == f"ended {-signal.SIGINT:d}"


def test_the_daemon_that_is_killed_is_one_line(daemon: Daemon) -> None:
    with Endless() as agent:
        daemon.stop(signal.SIGKILL)
        assert agent.client.communicate()[1] == b"run: the daemon went away\n"
        assert agent.client.returncode == 1


def test_run_without_options_of_the_agent_loads_little() -> None:
    script = (
        "import os, sys\nfrom llmsh.lib import leave\nfrom llmsh.cli.main import main\n"
        "def end(ending):\n"
        "    print(ending.code, sorted({'msgspec', 'typer', 'asyncio', 'tomllib'} & set(sys.modules)))\n"
        "    return 0\n"
        "leave.leave = end\nsys.argv = ['llmsh', 'run', '--max-tokens', '1', 'ask', 'x']\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
    assert done.stdout.decode().splitlines()[-1] == "0 []"


RATED = ("--best-of", "4", "--temp", "1")


def test_the_best_of_several_answers_is_one_of_them() -> None:
    answers = [llmsh("run", "--temp", "1", "--seed", str(seed), "ask", "why").stdout for seed in (5, 6, 7, 8)]
    done = llmsh("run", *RATED, "--seed", "5", "ask", "why")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in answers
    read = llmsh("run", *RATED, "--seed", "5", "ask", stdin="why")
    assert (read.returncode, read.stdout) == (0, done.stdout), "the input is read once and given to all"


def test_the_best_is_the_likeliest() -> None:
    conn = dial()
    means: dict[int, float] = {}
    pids = [calls.run(conn, "ask", args=["x"], stdout="null", params={"rated": True, "seed": n})[0] for n in range(4)]
    for seed, pid in enumerate(pids):
        end = calls.wait(conn, pid)
        assert end["logprob"] < 0
        means[seed] = end["logprob"] / end["tokens_out"]
    conn.close()
    best = max(means, key=lambda seed: means[seed])
    assert (
        llmsh("run", *RATED, "ask", "x").stdout == llmsh("run", "--temp", "1", "--seed", str(best), "ask", "x").stdout
    )


def test_best_of_when_all_fail_is_the_first() -> None:
    done = llmsh("run", *RATED, "--tokens", "2", "ask", "x")
    first = llmsh("run", "--temp", "1", "--tokens", "2", "ask", "x")
    assert (done.returncode, done.stdout, done.stderr) == (1, first.stdout, "ask: limit of 2 tokens reached\n")


def test_best_of_needs_an_answer_and_a_choice() -> None:
    for argv, cause in (
        (("--best-of", "2", "ask", "x"), "give a --temperature"),
        (("--best-of", "2", "--temp", "1", "--top-k", "1", "ask", "x"), "give a --temperature"),
        (("--best-of", "2", "--temp", "1", "chat"), "of kind chat"),
        (("--best-of", "2", "--temp", "1", "sentiment", "x"), "of kind classify"),
        (("--best-of", "0", "--temp", "1", "ask", "x"), "expected 1 to 64"),
        (("-d", "--best-of", "2", "ask", "x"), "in the background"),
    ):
        assert cause in refused("run", *argv)


def test_best_of_ends_by_a_signal_of_ours_and_says_a_full_disk() -> None:
    assert into_full("run", *RATED, "ask", "x") == (1, f"run: {NO_SPACE}")
    client = subprocess.Popen([*WORDS, "run", *RATED, *WITHOUT_END, "ask", "x"], env=environment())
    while len(llmsh("ps", "--ppid", str(client.pid), "-o", "pid=").stdout.split()) < 4:
        pass
    client.send_signal(signal.SIGINT)
    assert client.wait() == -signal.SIGINT
