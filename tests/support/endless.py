"""Agents that run until a test ends them, on the fake model, started by `llmsh run`.

It knows the command line only.
"""

import contextlib
import signal
import subprocess
from typing import Self

from tests.support.client import WORDS, environment, llmsh

WITHOUT_END = ("--ignore-eos", "--max-tokens", "0")


class Endless:
    """An agent that generates for ever; `pid` is known once its first output is there."""

    def __init__(self, *options: str, agent: str = "ask") -> None:
        words = [*WORDS, "run", *WITHOUT_END, *options, agent, "go on"]
        self.client = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert self.client.stdout is not None
        assert self.client.stdout.read(1)
        rows = llmsh("ps", "--ppid", str(self.client.pid), "-o", "pid=")
        self.pid = int(rows.stdout)

    def drained(self) -> int:
        """Read its output to the end; the client's return code."""
        self.client.communicate()
        return self.client.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.client.send_signal(signal.SIGCONT)
            self.client.kill()
        self.client.communicate()
