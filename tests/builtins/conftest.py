"""A daemon with the fake model for commands to speak to, and folders of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import folders
from tests.support.daemon import Daemon


@pytest.fixture
def daemon(xdg: Path) -> Iterator[Daemon]:
    """A daemon of the test's own that serves, stopped in order afterwards."""
    daemon = Daemon()
    assert daemon.said == "\n", daemon.said
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests of a file that do not ask who else runs there."""
    with pytest.MonkeyPatch.context() as patch:
        folders.own(tmp_path_factory.mktemp("machine"), patch)
        daemon = Daemon()
        assert daemon.said == "\n", daemon.said
        yield daemon
        daemon.stop()
