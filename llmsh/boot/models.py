"""A model's name to its device: a file for llama.cpp, or the fake one.

It reads no model file: the engine checks and loads it.
"""

import os
from collections.abc import Callable

from llmsh.abi import paths
from llmsh.abi.errors import Error
from llmsh.boot import machine
from llmsh.boot.config import Config
from llmsh.drivers import fake
from llmsh.drivers.household import Household
from llmsh.drivers.llama import LlamaDevice
from llmsh.kernel.clock import Clock
from llmsh.kernel.device import Device

CORES_AT_MOST = 4
"""Cores of one engine, when the configuration does not say: each may need a cache of its own."""


class Models:
    """Makes devices as the configuration says. It is the kernel's `make_device`."""

    def __init__(self, config: Config, clock: Clock, log: Callable[[str], None]) -> None:
        self._config = config
        self._clock = clock
        self._log = log
        self._household = Household(machine.CPUS)

    def __call__(self, model: str) -> Device:
        """The device of a model. Raises Error ENODEV when there is no such model."""
        if model == "fake" or model.startswith("fake:"):
            return fake.FakeDevice(model, self._clock, fake.options(model), strict=self._config.strict)
        path = paths.model_file(model)
        if not os.path.isfile(path):
            advice = "" if "/" in model else f"; llmsh model pull {model}"
            raise Error("ENODEV", f"{model}: no such model{advice}")
        if not os.access(path, os.R_OK):
            raise Error("ENODEV", f"{path}: permission denied")
        config = self._config
        # One core is left to the kernel, the shell and whoever else lives here: the threads of a step
        # wait for the slowest of them, and a disturbed one halves the rate of all.
        cores = machine.cores()
        threads = config.threads or max(1, cores - 1)
        return LlamaDevice(
            model,
            path,
            cells=config.cells,
            cores=config.cores or min(cores, CORES_AT_MOST),
            threads=threads,
            threads_batch=config.threads_batch or config.threads or cores,
            sequences=config.sequences,
            cache_type=config.cache_type,
            log=lambda line: self._log(f"{model}: {line}"),
            household=self._household,
            swap=paths.state() if config.swap_file else "",
        )
