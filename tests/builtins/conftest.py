"""A daemon with the fake model for commands to speak to, and folders of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon


@pytest.fixture
def daemon(xdg: Path) -> Iterator[Daemon]:
    """A daemon that serves, stopped in order afterwards."""
    daemon = Daemon()
    assert daemon.said == "\n", daemon.said
    yield daemon
    daemon.stop()
