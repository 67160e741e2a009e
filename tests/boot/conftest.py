"""What tests of the daemon leave open is closed here, when one fails too."""

from collections.abc import Iterator

import pytest

from tests.support.daemon import Wire


@pytest.fixture(autouse=True)
def wires() -> Iterator[None]:
    """Close every connection that the test made."""
    yield
    while Wire.opened:
        Wire.opened.pop().close()
