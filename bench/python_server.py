"""Total tokens a second against llama-cpp-python's own server, which answers one request at a time.

It needs an interpreter with that package's extra `server`: LLAMA_CPP_PYTHON=PATH of one, else ours if it has
it. Same model, threads, prompts and lengths on all of the machine's cores.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import IO, Any, Self

from bench import batched, prose, stats
from bench.crowd import Crowd
from bench.daemon import Daemon, measured
from bench.jobs import Jobs
from bench.pairs import alternate
from bench.peer import AS_AN_ENGINE, START_S, free_port
from bench.place import CELLS, Place, cores
from bench.row import Row, Skipped, judged

COUNTS = (1, 4)
TARGETS = {1: 0.97, 4: 1.0}
PAIRS = 5
NEEDED = "uvicorn, fastapi, sse_starlette, starlette_context, pydantic_settings"


def interpreter() -> str:
    """A Python that can serve. Raises Skipped."""
    path = os.environ.get("LLAMA_CPP_PYTHON") or sys.executable
    try:
        asked = subprocess.run([path, "-c", f"import {NEEDED}"], capture_output=True, check=False)
    except OSError as error:
        raise Skipped(f"LLAMA_CPP_PYTHON={path}: {error.strerror}") from error
    if asked.returncode:
        raise Skipped("no server of llama-cpp-python: LLAMA_CPP_PYTHON=PYTHON that has `llama-cpp-python[server]`")
    return path


class Server:
    """A running server; a context manager."""

    def __init__(self, model: str, threads: int, log: IO[bytes]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        words = [interpreter(), "-m", "llama_cpp.server", "--model", model, "--host", "127.0.0.1", "--port", str(port)]
        words += ["--n_ctx", str(CELLS), "--n_threads", str(threads), "--n_threads_batch", str(threads)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", AS_AN_ENGINE, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def __enter__(self) -> Self:
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/v1/models", timeout=5):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)  # it has no way to say that it is ready
        self.__exit__()
        raise Skipped("the server of llama-cpp-python did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, text: str) -> int:
        """A completion; how many tokens it has. The end-of-text token is made unlikely: it knows no ignore_eos."""
        body: dict[str, Any] = {"prompt": text, "max_tokens": batched.TOKENS, "temperature": 0.0}
        body["logit_bias"] = {"2": -100.0, "0": -100.0}
        request = urllib.request.Request(
            f"{self.url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            return int(json.load(answer)["usage"]["completion_tokens"])

    def rate(self, count: int, draw: random.Random) -> float:
        """Tokens a second of so many requests at once."""
        texts = [prose.text(batched.PROMPT, draw) for _ in range(count)]
        began = time.perf_counter()
        with Crowd(count) as pool:
            made = sum(pool.map(self.ask, texts))
        return made / (time.perf_counter() - began)


def rows(place: Place) -> Iterator[Row]:
    """A row for each number of requests."""
    draw = random.Random(CELLS)
    interpreter()
    with (
        Daemon(place.model, **place.keys(calibrate="true")) as daemon,
        closing(daemon.connect()) as conn,
        tempfile.NamedTemporaryFile() as log,
        Server(place.model, cores(), log.file) as server,
    ):
        conn.call("load", model=place.model)
        measured(conn)
        jobs = Jobs(conn)
        for count in COUNTS:
            batched.ours(jobs, count, draw)
            server.rate(1, draw)

            def mine(_: int, count: int = count) -> float:
                return batched.ours(jobs, count, draw)

            def other(_: int, count: int = count) -> float:
                return server.rate(count, draw)

            pairs = alternate(place.count(PAIRS), mine, other)
            sides = [[each[i] for each in pairs] for i in range(2)]
            ratio = stats.ratio(*sides)
            value = f"{ratio.shown()}, {median(sides[0]):.1f} and {median(sides[1]):.1f}"
            data = {"ratio": ratio.record(), "llmshd": sides[0], "llama-cpp-python": sides[1]}
            title = f"total tokens/s / llama-cpp-python's server, {count} at once"
            yield judged(title, f">= {TARGETS[count]:g}", value, ratio.middle >= TARGETS[count], data)
