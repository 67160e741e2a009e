"""Kernels that have their device measured, over a fake device, with the tables in memory."""

from typing import Any

from llmsh.drivers.fakecore import Options
from llmsh.kernel.configuration import Configuration
from llmsh.kernel.host import Host
from llmsh.kernel.rates import Rates, restored
from llmsh.kernel.settings import Settings
from tests.support.machine import Machine

TWO = Options(cells=20_000, context=4000, answer=100_000, cores=2, cpus=2, gain=0.25, each=10.0)
"""A second sequence in a batch costs twice a step of one; a second thread is worth a quarter."""


class Shelf:
    """Tables in memory, as JSON would have them."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.writes = 0

    def find(self, model: str) -> Rates | None:
        return restored(self.kept[model]) if model in self.kept else None

    def keep(self, model: str, rates: Rates) -> None:
        self.kept[model] = rates.record()
        self.writes += 1


def machine(shelf: Shelf, options: Options = TWO, **settings: Any) -> Machine:
    made = Machine(options, settings=Settings(strict=True, calibrate=True, **settings), shelf=shelf)
    made.client().post("load", model="fake")
    made.clock.run_until(lambda: made.kernel.hosts["fake"].ready)
    return made


def host(made: Machine, model: str = "fake") -> Host:
    return made.kernel.hosts[model]


def chosen(made: Machine) -> Configuration:
    configuration = host(made).tuning.configuration
    assert configuration is not None
    return configuration


def measured(made: Machine, seconds: float = 60) -> Machine:
    """Let it measure all there is."""
    tuning = host(made).tuning
    made.clock.run_until(lambda: tuning.complete and not tuning.measuring, seconds)
    return made
