"""sched over a daemon with the fake model: the policy in use, another one, and what is none."""

import json

import pytest

from tests.support.client import llmsh
from tests.support.endless import WITHOUT_END

POLICIES = ["mlfq", "fair", "deadline", "fcfs", "rr"]


def test_an_empty_machine_has_no_policy_and_stays_empty(xdg: object) -> None:
    assert llmsh("sched").stdout == "llmshd is not running\n"
    assert json.loads(llmsh("sched", "--json").stdout) == {"running": False}
    done = llmsh("sched", "fair")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "llmshd is not running" in done.stderr
    assert llmsh("daemon", "status").returncode != 0


@pytest.mark.usefixtures("daemon")
def test_the_policy_is_shown_and_changed_while_somebody_runs() -> None:
    pid = llmsh("run", "-d", *WITHOUT_END, "ask", "go on").stdout.strip()
    assert llmsh("sched").stdout == "* mlfq\n  fair\n  deadline\n  fcfs\n  rr\n"
    for policy in POLICIES[::-1]:
        assert (llmsh("sched", policy).returncode, llmsh("sched", policy).stdout) == (0, "")
        assert json.loads(llmsh("sched", "--json").stdout) == {
            "running": True,
            "policy": policy,
            "policies": POLICIES,
        }
    told = llmsh("dmesg", "-t").stdout.splitlines()
    assert [line for line in told if line.startswith("policy ")] == [
        f"policy {new} in place of {old}" for old, new in zip(["mlfq", *POLICIES[::-1]], POLICIES[::-1], strict=False)
    ]
    before, after = (json.loads(llmsh("ps", "-p", pid, "--json").stdout)["tokens_out"] for _ in range(2))
    assert after >= before > 0
    assert llmsh("kill", "-KILL", pid).returncode == 0


@pytest.mark.usefixtures("daemon")
def test_what_is_no_policy_is_one_line() -> None:
    done = llmsh("sched", "lottery")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sched: lottery: no such policy; there are mlfq, fair, deadline, fcfs, rr\n"
    assert llmsh("sched", "fair", "rr").returncode == 2
