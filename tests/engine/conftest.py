"""What tests of the engine share: the tiny model, and engines that end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmsh.engine import binding
from tests.support.enginehost import EngineHost
from tests.support.tinymodel import make


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """llama.cpp in this process says warnings and errors only, as in an engine."""
    binding.start()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model."""
    return make(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
def engines() -> Iterator[Callable[..., EngineHost]]:
    """Starts engines; what is left of them ends with the test."""
    started: list[EngineHost] = []

    def start(model: Path, **options: Any) -> EngineHost:
        host = EngineHost(model, **options)
        started.append(host)
        return host

    yield start
    for host in started:
        host.close()


@pytest.fixture
def engine(tiny: Path, engines: Callable[..., EngineHost]) -> EngineHost:
    """An engine on the tiny model."""
    return engines(tiny)
