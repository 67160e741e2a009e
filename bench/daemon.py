"""A daemon of our own to measure: in private folders, with units of the bench, ended at the end.

It waits for the ready byte as a command does, and knows no row.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Self

from bench.place import CELLS, ROOT, SEQUENCES
from bench.row import Skipped
from llmsh.abi.version import BUILD, MAJOR, MINOR
from llmsh.lib.conn import Connection

UNITS = {
    # The text as it is, for ever: what comes out is counted, not read.
    "plain": 'kind = "prompt"\ndescription = "text as it is"\n',
}
FOLDERS = {
    "XDG_RUNTIME_DIR": "run",
    "XDG_STATE_HOME": "state",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
}

MEASURED_S = 60.0
"""In which the rates are known, on a machine that nobody else uses."""
KEPT = tempfile.mkdtemp(prefix="llmsh-bench-rates-")
"""What one daemon has measured of the machine, for the next: each would measure the same for 20 s."""
atexit.register(shutil.rmtree, KEPT, ignore_errors=True)
FIXED = {"calibrate": "false"}
"""A row that does not ask for it is not to be disturbed by measurements of rates."""


class Daemon:
    """A running llmshd; a context manager. `options` are keys of llmshd.toml, `units` are names and texts."""

    def __init__(self, model: str = "", units: Mapping[str, str] | None = None, /, **options: int | str) -> None:
        self.folder = tempfile.mkdtemp(prefix="llmsh-bench-")
        self.env = self._environment(model)
        for name, text in {**UNITS, **(units or {})}.items():
            path = os.path.join(self.folder, "config", "llmsh", "agents.d", f"{name}.toml")
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with open(path, "w", encoding="ascii", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
                file.write(text)
        self.options: dict[str, int | str] = {"cells": CELLS, "sequences": SEQUENCES, "cores": 1, **FIXED, **options}
        if model:
            self.options["model"] = model
        self._process: subprocess.Popen[bytes] | None = None
        state = os.path.join(self.env["XDG_STATE_HOME"], "llmsh")
        os.mkdir(state, 0o700)
        self._rates = shutil.copytree(KEPT, os.path.join(state, "rates"))

    def _environment(self, model: str) -> dict[str, str]:
        # An installed package has its byte code, so nothing may keep Python from writing it.
        env = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "LLMSH_", "PYTHON"))}
        for name, folder in FOLDERS.items():
            env[name] = os.path.join(self.folder, folder)
            os.makedirs(env[name], 0o700)
        if model:
            env["LLMSH_MODEL"] = model
        env["PYTHONPATH"] = ROOT
        return env

    def __enter__(self) -> Self:
        reader, writer = os.pipe()
        given = [part for item in self.options.items() for part in ("-o", "{}={}".format(*item))]
        command = [sys.executable, "-P", "-m", "llmsh.boot", "--foreground", *given]
        with open(os.path.join(self.folder, "said"), "wb") as said:
            self._process = subprocess.Popen(
                command,
                env=self.env | {"LLMSH_READY_FD": str(writer)},
                pass_fds=(writer,),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        os.close(writer)
        try:
            with os.fdopen(reader, "rb") as ready:
                word = ready.readline()
        except BaseException:
            self.__exit__()  # interrupted: nobody else would end it
            raise
        if word != b"\n":
            self.__exit__()
            raise Skipped(f"llmshd did not start: {word.decode('utf-8', 'replace').strip()}")
        return self

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.copytree(self._rates, KEPT, dirs_exist_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def socket(self) -> socket.socket:
        """A connection that nobody has greeted on."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(os.path.join(self.folder, "run", "llmsh", "llmshd.sock"))
        return sock

    def connect(self) -> Connection:
        """A connection, greeted."""
        conn = Connection(self.socket())
        conn.call("hello", major=MAJOR, minor=MINOR, build=BUILD)
        return conn


def measured(conn: Connection) -> None:
    """Wait until the daemon has measured its rates, unless it was told not to. Raises Skipped."""
    until = time.monotonic() + MEASURED_S
    while time.monotonic() < until:
        rates = conn.call("lsdev", long=True)[0]["rows"][0]["rates"]
        if rates["complete"] or not rates["wanted"]:
            return
        time.sleep(0.2)  # it measures when nobody asks
    raise Skipped(f"the rates are not known after {MEASURED_S:.0f} s")
