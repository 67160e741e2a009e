"""Processes of models that cannot share or cut, through a whole kernel: all finish in a cache that is small for two."""

from pathlib import Path

import pytest

from llmsh.kernel.core import Core
from llmsh.kernel.settings import Settings
from llmsh.kernel.stream import Stream
from tests.support import tinykinds
from tests.support.llamamachine import LlamaMachine
from tests.support.undisturbed import Job, end_of

pytestmark = pytest.mark.llama
CELLS = 512
TEXT = "All happy families are alike. " * 9
ASK = Job("ask", TEXT, None, (("max_tokens", 100),))
TALK = Job("talk", "", b"hello\nhow are you\nand then\n", (("max_tokens", 60),))
SORT = Job("sort", TEXT)
LINES = Job("each", "", b"one\ntwo\nthree\n", (("max_tokens", 30),))


def play(kind: str, tmp_path: Path, jobs: list[Job]) -> LlamaMachine:
    """Run the jobs side by side to their ends; the machine, which the caller closes."""
    model = tinykinds.make(tmp_path / "tiny.gguf", kind)
    machine = LlamaMachine(model, cells=CELLS, settings=Settings(strict=True, quantum=8))
    try:
        client = machine.client()
        started = [job.start(client) for job in jobs]
        machine.clock.run_until(lambda: all(client.exited(pid) for pids in started for pid in pids))
        for pids in started:
            assert end_of(client, pids).statuses == (0,)
        machine.sound()
        hosts = machine.kernel.hosts.values()
        machine.clock.run_until(lambda: not any(host.busy for host in hosts))
        assert not any(core.cells.used for host in hosts for core in host.cores.values())
        assert [host.incarnation for host in hosts] == [1], "an engine died"
        assert not any(host.facts.share for host in hosts)
    finally:
        machine.close()
    return machine


@pytest.mark.parametrize("kind", tinykinds.KINDS)
def test_two_that_do_not_fit_at_once_both_finish(kind: str, tmp_path: Path) -> None:
    assert 2 * len(TEXT) > CELLS
    play(kind, tmp_path, [ASK, ASK])


@pytest.mark.parametrize("kind", tinykinds.KINDS)
def test_all_kinds_of_agents_at_once(kind: str, tmp_path: Path) -> None:
    play(kind, tmp_path, [ASK, TALK, SORT, LINES, SORT])


@pytest.mark.parametrize("kind", tinykinds.KINDS)
def test_the_kernel_knows_that_a_score_let_go_of_all(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    scored = Core._scored

    def heard(core: Core, stream: Stream, op: int, error: str, scores: list[float]) -> None:
        computed.append(stream.computed)
        scored(core, stream, op, error, scores)

    monkeypatch.setattr(Core, "_scored", heard)
    play(kind, tmp_path, [SORT])
    assert computed == [0]
