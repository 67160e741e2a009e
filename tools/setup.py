"""Installs the locked packages and this checkout into .venv, with a line that shows how far it is.

It runs with .venv's own Python and imports nothing else. Every package is checked against its hash; what compiles
llama.cpp is locked too, and used without an environment of its own. It knows no host: pip's configuration does.
"""

import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO

VENV = Path(".venv")
LOG = VENV / "setup.log"
NINJA = re.compile(rb"^\s*\[(\d+)/(\d+)\]")
REDRAW = 0.2
STALL = 30.0
"""Seconds between two lines where there is no terminal to write one line again and again."""


class Line:
    """One line on the terminal that says what goes on, since when; a few lines where there is none."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.start = time.monotonic()
        self.said = -REDRAW
        self.tty = sys.stdout.isatty()

    def show(self, note: str = "") -> None:
        """Says where it is; often on a terminal, rarely in a log."""
        now = time.monotonic() - self.start
        text = f"set-up: {self.title}{note}, {now:.0f} s"
        if self.tty and now - self.said < REDRAW:
            return
        if self.tty:
            self.said = now
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:width]}", end="", flush=True)
        elif now - self.said >= STALL or self.said < 0:
            self.said = now
            print(text, flush=True)

    def done(self, word: str = "done") -> None:
        """The last word about it."""
        text = f"set-up: {self.title}: {word}, {time.monotonic() - self.start:.0f} s"
        print(f"\r\x1b[K{text}" if self.tty else text, flush=True)


def note(line: bytes) -> str:
    """What a line of pip's or ninja's output says to a person, or nothing."""
    if step := NINJA.match(line):
        return f": compiling llama.cpp, file {int(step[1])} of {int(step[2])}"
    words = line.decode(errors="replace").split()
    if len(words) >= 2 and words[0] in ("Collecting", "Downloading"):
        return f": {Path(words[1]).name}"
    return ""


def follow(pipe: IO[bytes], log: IO[bytes], line: Line) -> None:
    """Copies the output to the log and shows it in short, once a second at least."""
    current, rest = "", b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if selector.select(1.0):
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    return
                log.write(data)
                log.flush()
                *lines, rest = (rest + data).split(b"\n")
                for each in lines:
                    current = note(each) or current
            line.show(current)


def pip(title: str, *args: str) -> None:
    """Runs pip; ends the set-up in one line if it fails."""
    line = Line(title)
    line.show()
    environment = dict(os.environ, PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_USER="0")
    environment["PATH"] = f"{(VENV / 'bin').resolve()}:{environment.get('PATH', '')}"
    command = [sys.executable, "-m", "pip", "install", *args]
    with (
        LOG.open("ab") as log,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process,
    ):
        assert process.stdout is not None
        try:
            follow(process.stdout, log, line)
        except KeyboardInterrupt:
            process.terminate()
            line.done("interrupted")
            sys.exit(130)
    if process.returncode:
        line.done("failed")
        lines = [each for each in LOG.read_text(errors="replace").splitlines() if each.strip()]
        cause = next((each for each in reversed(lines) if "error" in each.lower()), lines[-1] if lines else "no output")
        sys.exit(f"set-up: {cause.strip()} (all of it: {LOG})")
    line.done()


def main(what: str) -> None:
    """`run` for running; `dev` for tests and checks, on top of it."""
    if what == "dev":
        pip("tools for tests and checks", "--require-hashes", "-r", "requirements-dev.lock")
    else:
        LOG.write_bytes(b"")
        pip("tools that build", "--require-hashes", "-r", "requirements-build.lock")
        if find_spec("llama_cpp") is None:
            print("set-up: llama.cpp is compiled once, for about 6 minutes on 2 cores", flush=True)
        pip(
            "packages",
            "-v", "--no-build-isolation", "--require-hashes", "-r", "requirements.lock",
        )  # fmt: skip
        pip("this checkout", "--no-deps", "--no-build-isolation", "-e", ".")
    (VENV / f".{what}-stamp").touch()


if __name__ == "__main__":
    main(sys.argv[1])
