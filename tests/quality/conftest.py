"""One SmolLM2 for all tables. Greedy, one thread; what rounding may change is left as margin in the floors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.barellama import BareLlama
from tests.support.bareprogram import Runner


@pytest.fixture(scope="session")
def runner(smollm2: Path) -> Iterator[Runner]:
    """Runs agents on SmolLM2, their states written down and read again at each step."""
    llama = BareLlama(str(smollm2), context=2048)
    yield Runner(llama)
    llama.close()
