"""A scripted server on the socket that clients of these tests find."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmsh.abi import paths
from tests.support.wireserver import WireServer


@pytest.fixture
def server(xdg: Path) -> Iterator[WireServer]:
    """A server where the daemon's socket is looked for."""
    folder = Path(paths.runtime())
    folder.mkdir(mode=0o700)
    server = WireServer(Path(paths.socket()))
    yield server
    server.close()
