"""Time to the first token: `llmsh run` as a whole process, the daemon warm, against curl to llama-server.

From the start of each program to the first byte of text on its standard output. Same model, threads
and prompt; every prompt begins with numbers of its own, so that neither side has any of it cached.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import median
from typing import IO

from bench import stats
from bench.daemon import Daemon
from bench.peer import LlamaServer
from bench.place import CELLS, SEQUENCES, Place, llmsh
from bench.row import Row, judged

TARGET_MS = 40.0
SIZES = (8, 71, 281)
PAIRS = 15
ANSWER = 4
"""Tokens of an answer; only the first is timed, the others show that the answer goes on."""
TEXT = (
    " the harbour was quiet and the boats lay in a row while an old man counted the nets that had come in"
    " with the tide, and a girl who had lost her way asked him for the road to the mill on the hill"
)


def prompt(size: int, count: Callable[[str], int], draw: random.Random) -> str:
    """A text of exactly so many tokens that has not been seen before: digits are a token each."""
    text = str(draw.randrange(1000, 9999))
    words = (TEXT * (1 + size // 20)).split(" ")[1:]
    for word in words:
        longer = f"{text} {word}"
        if count(longer) > size:
            break
        text = longer
    while (missing := size - count(text)) > 0:
        text += "7" * missing
    return text


def first_byte(command: list[str], env: dict[str, str], mark: bytes) -> float:
    """Milliseconds from the start of a command to `mark` on its output (any byte when empty)."""
    began = time.perf_counter()
    with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        took = _wait(process.stdout, mark, began)
        process.stdout.read()  # to the end, so that both sides are idle when the next one starts
    assert process.returncode == 0, command
    return took


def _wait(pipe: IO[bytes], mark: bytes, began: float) -> float:
    seen = b""
    while True:
        data = os.read(pipe.fileno(), 4096)
        assert data, f"no text came: {seen!r}"
        seen += data
        if mark in seen:
            return (time.perf_counter() - began) * 1000


def rows(place: Place) -> Iterator[Row]:
    """A row for each size of prompt."""
    draw = random.Random()
    with (
        Daemon(place.model, threads=place.threads, threads_batch=place.threads) as daemon,
        open(os.path.join(daemon.folder, "peer"), "wb") as log,
        LlamaServer(place.model, place.threads, CELLS, SEQUENCES, log) as server,
        closing(daemon.connect()) as conn,
    ):
        conn.call("load", model=place.model)
        run = [*llmsh(), "run", "--raw", "--ignore-eos", "--max-tokens", str(ANSWER), "plain"]
        for size in SIZES:
            pairs: list[tuple[float, float]] = []
            for _ in range(1 + place.count(PAIRS)):
                text = prompt(size, lambda text: len(server.tokens(text)), draw)
                body = {"prompt": text, "n_predict": ANSWER, "stream": True, "cache_prompt": False, "ignore_eos": True}
                theirs = first_byte(server.curl(body), daemon.env, b'"content":')
                pairs.append((first_byte([*run, text], daemon.env, b""), theirs))
            yield _row(size, pairs[1:])  # the first warms both


def _row(size: int, pairs: list[tuple[float, float]]) -> Row:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    found = stats.difference(ours, theirs)
    value = f"{found.shown('+.0f')}, {median(ours):.0f} and {median(theirs):.0f} ms"
    data = {"difference_ms": found.record(), "llmsh_ms": median(ours), "curl_ms": median(theirs)}
    data["ratio"] = stats.ratio(ours, theirs).record()
    name = f"first token, llmsh run - curl, {size} tokens"
    return judged(name, f"<= {TARGET_MS:g} ms", value, found.middle <= TARGET_MS, data)
