"""A shell on a real pseudo-terminal, driven by what it shows. It waits for marks, never for a time."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pexpect

ROOT = str(Path(__file__).resolve().parents[2])
_FORWARD = re.compile(r"\x1b\[(\d*)C")
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])")
_HALF = re.compile(r"\x1b(\[[0-9;?]*)?$")


class _Spawn(pexpect.spawn):  # type: ignore[misc]  # pexpect carries no types
    """What a terminal would show: escape sequences taken out, moves to the right made blanks."""

    _half = ""

    def read_nonblocking(self, size: int = 1, timeout: float | None = -1) -> str:
        data = self._half + super().read_nonblocking(size, timeout)
        half = _HALF.search(data)
        cut = half.start() if half else len(data)
        self._half = data[cut:]
        return _ESCAPES.sub("", _FORWARD.sub(lambda match: " " * int(match[1] or 1), data[:cut]))


class Terminal:
    """An interactive llmsh whose prompt is @STATUS@, with folders of its own under `home`."""

    def __init__(self, home: Path, **env: str) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "XDG_DATA_HOME")},
            "HOME": str(home),
            "PS1": "@$?@",
            "PYTHONPATH": ROOT,
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "LLMSH_MODEL": "fake",
            **env,
        }
        (home / "run").mkdir(mode=0o700, exist_ok=True)
        self.pty: Any = _Spawn(
            sys.executable,
            ["-m", "llmsh.sh"],
            env=environment,
            cwd=str(home),
            encoding="utf-8",
            timeout=30,
            dimensions=(40, 200),
        )
        self.pty.delaybeforesend = None
        self._marks = 0
        self.prompt(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pty.close(force=True)

    def prompt(self, status: int | None = None) -> None:
        """Wait for a prompt; with this status, where one is given."""
        self.pty.expect(r"@\d+@" if status is None else f"@{status}@")

    def type(self, text: str) -> None:
        """Type a line."""
        self.pty.send(text + "\r")

    def see(self, text: str) -> None:
        """Wait for a text."""
        self.pty.expect_exact(text)

    def run(self, line: str) -> str:
        """Type a line and wait until it has run; what it showed, as plain lines."""
        self._marks += 1
        number = self._marks
        # What is typed is echoed too, so neither mark stands in the line as it is shown.
        self.type(f'echo "<""{number}<"; {line}; echo ">""{number}>"')
        self.see(f"<{number}<")
        self.see(f">{number}>")
        shown = str(self.pty.before).replace("\r\n", "\n").strip("\n")
        self.prompt()
        return shown

    def until(self, line: str, wanted: Callable[[str], bool]) -> str:
        """Run a line again and again until what it shows is as wanted; the pty's time limit bounds a turn."""
        for _ in range(2000):
            shown = self.run(line)
            if wanted(shown):
                return shown
        raise AssertionError(f"{line} never showed what was wanted; at last: {shown}")
