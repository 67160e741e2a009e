"""A daemon in folders of its own, the tiny model on real llama.cpp, and connections that are closed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import tinymodel
from tests.support.daemon import Daemon, Wire


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's file."""
    return tinymodel.make(tmp_path_factory.mktemp("model") / "tiny.gguf", ctx=2048)


@pytest.fixture
def start(xdg: Path, tiny: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons with the tiny model; what still runs at the end is stopped."""
    started: list[Daemon] = []
    folder = xdg / "config" / "llmsh" / "agents.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plain.toml").write_text('kind = "prompt"\ndescription = "its text, and nothing before it"\n')

    def one(*options: str) -> Daemon:
        daemon = Daemon("-o", f"model={tiny}", "-o", "cells=2048", "-o", "threads=1", *options)
        assert daemon.said, daemon.ended()
        started.append(daemon)
        return daemon

    yield one
    for wire in Wire.opened:
        wire.close()
    Wire.opened.clear()
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.stop()
    # Every engine has gone with its daemon.


@pytest.fixture
def daemon(start: Callable[..., Daemon]) -> Daemon:
    """One daemon."""
    return start()
