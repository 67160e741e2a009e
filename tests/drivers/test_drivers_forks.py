"""Forks through a whole kernel over llama.cpp: children that end leave the parent its cells and its text."""

from pathlib import Path

import pytest

from llmsh.abi import signals as sig
from llmsh.kernel.settings import Settings
from tests.support import tinymodel
from tests.support.llamamachine import SEQUENCES, LlamaMachine

pytestmark = pytest.mark.llama
TEXT = "All happy families are alike. " * 9
LONG = {"max_tokens": 200}


def said(model: Path, forks: int) -> tuple[bytes, int]:
    """What a process says that is forked so often, and input tokens computed; children are killed."""
    machine = LlamaMachine(model, cells=1024, settings=Settings(strict=True, quantum=8))
    try:
        client = machine.client()
        parent = client.run("ask", TEXT, params=LONG)
        for n in range(forks):
            made = 10 * (n + 1)
            machine.clock.run_until(lambda made=made: client.row(parent)["tokens_out"] >= made)  # type: ignore[misc]  # a loop's own
            call = client.post("fork", pid=parent)
            machine.clock.run_until(lambda call=call: call in client.replies)  # type: ignore[misc]  # a loop's own
            client.call("kill", pid=client.answer(call)["pid"], sig=sig.KILL)
            machine.hear(2)
            machine.sound()
        host = next(iter(machine.kernel.hosts.values()))
        if forks:
            cores = [core for core in host.cores.values() if core.cells.used]
            machine.clock.run_until(lambda: [core.cells.seats for core in cores] == [SEQUENCES - 1], 10)
        machine.clock.run_until(lambda: bool(client.exited(parent)))
        assert host.incarnation == 1
        return bytes(client.out[parent]), host.tokens_in
    finally:
        machine.close()


def test_a_process_says_the_same_after_its_children_have_ended(tmp_path: Path) -> None:
    model, forks = tinymodel.make(tmp_path / "tiny.gguf"), 3 * SEQUENCES
    text, fed = said(model, 0)
    again, more = said(model, forks)
    assert again == text
    assert more - fed <= 2 * forks, "somebody computed again what there was"
