"""Resident memory: the daemon with nothing to do, and an engine against llama-server.

Both have the same model, cells and slots, and have answered the same requests.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from bench.daemon import Daemon
from bench.overhead import TEXT, Run
from bench.peer import LlamaServer
from bench.place import CELLS, SEQUENCES, Place, resident
from bench.row import Row, judged

MB = 1_000_000
IDLE_MB, MORE_MB = 60, 40
TOKENS = 32


def _engine(conn: Any) -> int:
    """OS pid of the only engine."""
    pid: int = conn.call("lsdev")[0]["rows"][0]["pid"]
    return pid


def rows(place: Place) -> Iterator[Row]:
    """Daemon, then engine."""
    with (
        Daemon(place.model, threads=place.threads, threads_batch=place.threads) as daemon,
        open(os.path.join(daemon.folder, "peer"), "wb") as log,
        closing(daemon.connect()) as conn,
    ):
        idle = resident(daemon.pid) / MB
        yield judged("llmshd idle", f"<= {IDLE_MB} MB", f"{idle:.1f} MB", idle <= IDLE_MB, {"bytes": idle * MB})
        conn.call("load", model=place.model)
        Run(conn, TEXT, 4, TOKENS).rate()
        engine = resident(_engine(conn)) / MB
        with LlamaServer(place.model, place.threads, CELLS, SEQUENCES, log) as server:
            for _ in range(4):
                server.ask("/completion", {"prompt": TEXT, "n_predict": TOKENS, "cache_prompt": False})
            peer = resident(server.pid) / MB
    data = {"engine": engine * MB, "llama_server": peer * MB, "cells": CELLS}
    value = f"{engine - peer:+.1f} MB, {engine:.1f} and {peer:.1f}"
    good = engine <= peer + MORE_MB
    yield judged(f"engine - llama-server, {CELLS} cells", f"<= {MORE_MB} MB", value, good, data)
