"""Processes of one agent share its unit, and no longer than anybody has it."""

import gc

from llmsh.abi.unit import Unit
from llmsh.kernel.text import Texts
from tests.support.machine import Machine


def test_who_runs_the_same_agent_has_the_same_unit() -> None:
    system = ["a"]
    texts = Texts(lambda name: Unit(name=name, kind="chat", description="talks", system=system[0]))
    first = texts("one")
    assert texts("one") is first
    assert texts("two") is not first
    system[0] = "b"  # the file was changed
    changed = texts("one")
    assert (first.system, changed.system) == ("a", "b")
    assert texts("one") is changed


def test_a_unit_that_nobody_has_is_forgotten() -> None:
    texts = Texts(lambda name: Unit(name=name, kind="chat", description="talks"))
    unit: Unit | None = texts("one")
    assert len(texts) == 1
    unit = None
    gc.collect()
    assert (unit, len(texts)) == (None, 0)


def test_processes_share_it() -> None:
    machine = Machine()
    client = machine.client()
    pids = [client.run("talk", "", stdin="client") for _ in range(3)]
    images = [machine.kernel.table.get(pid).image for pid in pids]
    assert len({id(image.unit) for image in images if image is not None}) == 1
