"""Programs that begin with so many open descriptors that those of their own lie above what select(2) knows."""

import subprocess
import sys

from tests.support.client import WORDS, environment

FULL = 1100
"""Descriptors that are open from the start: over FD_SETSIZE, which is 1024."""

_CROWD = f"""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({FULL + 100}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
while (fd := os.open(os.devnull, os.O_RDONLY)) < {FULL}:
    os.set_inheritable(fd, True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def crowded(*words: str) -> subprocess.Popen[str]:
    """Start a program in such a process: the limit and the files are its own, not the test's."""
    return subprocess.Popen(
        [sys.executable, "-c", _CROWD, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )


def crowded_llmsh(*argv: str) -> tuple[int, str, str]:
    """Run `llmsh` there to the end: its status, and what it wrote to 1 and 2."""
    with crowded(*WORDS, *argv) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err
