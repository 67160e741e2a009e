"""What tests of every layer share: the real model's file, folders of a test's own.

It knows no layer. What one layer needs is made in that layer's folder.
"""

import os
import random
from pathlib import Path

import pytest

from llmsh.abi import paths
from tests.support import folders

_SMOLLM2 = Path(os.environ.get("LLMSH_TEST_SMOLLM2") or paths.model_file("smollm2"))
"""Found before any test has folders of its own."""


SEED = int(os.environ.get("LLMSH_SEED") or random.SystemRandom().getrandbits(32))
"""Of everything random that is not hypothesis's own: the same for a whole run."""


def pytest_report_header() -> str:
    """Says the seed first, so that a failure can be had again."""
    return f"seed: LLMSH_SEED={SEED}"


@pytest.fixture
def rng() -> random.Random:
    """Random numbers from the run's seed, the same in each test whatever ran before."""
    return random.Random(SEED)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The file of SmolLM2-135M-Instruct, which `make test` pulls."""
    if not _SMOLLM2.is_file():
        pytest.fail(f"{_SMOLLM2}: no such file; `make test` pulls it, or say LLMSH_TEST_SMOLLM2=FILE", pytrace=False)
    return _SMOLLM2


@pytest.fixture
def xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configuration, data, state and runtime folders of this test's own, under the folder it gives."""
    return folders.own(tmp_path, monkeypatch)
