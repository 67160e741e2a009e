"""The lease protocol, played at random with a whole kernel over llama.cpp and the tiny model.

The same moves as over the fake device, in real time and with real deaths. Text is compared where it
is promised to be the same (deterministic runs); of the others every token that was journaled must
have come out once and in order.
"""

import os
import random
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, multiple, precondition, rule, run_state_machine_as_test

from llmsh.kernel import watchdog
from llmsh.kernel.settings import Settings
from tests.support import tinykinds
from tests.support.leaseplay import Leases
from tests.support.llamamachine import LlamaMachine
from tests.support.machine import Client
from tests.support.tinymodel import make, pieces
from tests.support.undisturbed import End, Job, end_of

pytestmark = pytest.mark.llama
PIECES = pieces()
EXACT = (("deterministic", True), ("max_tokens", 160))
FREE = (("max_tokens", 120),)
TEXTS = ("a", "the quick brown fox", "x" * 150, "y" * 320)
JOBS = (
    *(Job("ask", text, None, params) for text in TEXTS for params in (EXACT, FREE)),
    *(Job("each", "", given, params) for given in (b"", b"one\ntwo\n", b"z" * 120) for params in (EXACT, FREE)),
    Job("talk", "", b"hello\nyou\n", EXACT),
    Job("talk", "", b"hello\nyou\n", FREE),
    Job("sort", "good day"),
    Job("ask", "source", None, FREE, Job("each", "", None, FREE)),
)
JOB = st.sampled_from(JOBS)


class LlamaLeases(Leases):
    """On real engines."""

    running = Bundle("running")
    model: ClassVar[Path]
    calm: ClassVar[dict[Job, End]]
    """What each job says alone."""

    @initialize(
        target=running,
        cells=st.sampled_from((600, 1024, 2048)),
        batch=st.sampled_from((2, 16)),
        quantum=st.sampled_from((4, 16)),
        policy=st.sampled_from(("fair", "fcfs")),
        first=st.lists(JOB, min_size=1, max_size=4),
    )
    def begin(  # type: ignore[override]  # it fills the bundle at once
        self, cells: int, batch: int, quantum: int, policy: str, first: list[Job]
    ) -> Any:
        """With an engine that works, so that the moves meet one."""
        made = Settings(strict=True, batch=batch, quantum=quantum, policy=policy, starvation_s=5)
        self.llama = LlamaMachine(self.model, cells=cells, settings=made)
        self.hung = False
        self.enter(self.llama)
        started = [(self.clients[0], pid) for job in first for pid in self._begun(self.clients[0], job)]
        self.llama.recover()
        return multiple(*started)

    def _begun(self, client: Client, job: Job, **more: Any) -> list[int]:
        pids = job.start(client, **more)
        self.jobs.append((client, job, pids))
        return pids

    @rule(target=running, job=JOB, who=st.booleans(), nice=st.sampled_from((0, 10)), give=st.booleans())
    def start(self, job: Job, who: bool, nice: int, give: bool) -> Any:
        client = self.clients[who]
        return multiple(*((client, pid) for pid in self._begun(client, job, give=give, nice=nice)))

    @rule(seconds=st.sampled_from((0.0, 0.002, 0.005, 0.02)))
    def wait(self, seconds: float) -> None:
        self.machine.go(seconds)

    @rule(steps=st.integers(1, 20))
    def events(self, steps: int) -> None:
        self.llama.hear(steps)

    @rule(job=JOB, steps=st.integers(0, 10), number=st.sampled_from((9, 9, 6)))
    def crash(self, job: Job, steps: int, number: int) -> None:
        """Within a decode, or between two, with something to lose."""
        if not any(each.busy for each in self.machine.kernel.hosts.values()):
            self._begun(self.clients[0], job)
        self.llama.hear(steps)
        super().crash(None, number)

    @precondition(lambda self: not self.hung)
    @rule()
    def hang(self) -> None:
        """Once: to find it takes a while."""
        self.hung = True
        super().hang()

    def teardown(self) -> None:
        if not hasattr(self, "llama"):
            return
        try:
            super().teardown()
        finally:
            self.llama.close()

    def settle(self) -> None:
        hosts = self.machine.kernel.hosts.values()
        self.machine.clock.run_until(lambda: not any(each.busy for each in hosts))
        # An engine that was only slow may have been killed for a hang.
        self.crashed |= any("is silent for" in line for line in self.machine.lines())
        self.made = {pid: client.row(pid)["tokens_out"] for client, _, pids in self.jobs for pid in pids}

    def sequences(self) -> dict[int, Any] | None:
        return None

    def said_right(self, client: Client, job: Job, pids: list[int]) -> None:
        whole, end = self.calm[job], end_of(client, pids)
        exact = ("deterministic", True) in job.params
        cut = bool((self.forced | self.interrupted) & set(pids)) or self.blamed(client, pids)
        if not cut:
            assert end.statuses == whole.statuses
            assert len(end.out.splitlines()) == len(whole.out.splitlines())
            assert not exact or end == whole
        elif exact and (job.agent != "talk" or pids[0] not in self.interrupted):
            assert whole.out.startswith(end.out)
        if job.agent == "ask" and len(pids) == 1:
            tokens = self.machine.memory.logged.get(pids[0], [])
            said = b"".join(PIECES[token] for token in tokens[len(tokens) - self.made[pids[0]] :])
            assert said.startswith(end.out.removesuffix(b"\n")) if cut else end.out == said + b"\n"


def undisturbed(model: Path) -> dict[Job, End]:
    """The end of each job when it is the only one."""
    machine = LlamaMachine(model)
    client = machine.client()
    ends = {}
    try:
        for job in JOBS:
            pids = job.start(client)
            machine.clock.run_until(lambda pids=pids: all(map(client.exited, pids)))  # type: ignore[misc]  # its own pids
            ends[job] = end_of(client, pids)
    finally:
        machine.close()
    return ends


def on(model: Path, monkeypatch: pytest.MonkeyPatch) -> type[LlamaLeases]:
    """The play on a model, with hangs that are found in time for a test."""
    monkeypatch.setattr(watchdog, "SILENCE_S", 1.0)
    monkeypatch.setattr(watchdog, "ASKED_S", 1.0)
    LlamaLeases.model = model
    LlamaLeases.calm = undisturbed(model)
    return LlamaLeases


@pytest.fixture
def llama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[LlamaLeases]:
    """The play on the tiny model."""
    return on(make(tmp_path / "tiny.gguf"), monkeypatch)


def play(machine: type[LlamaLeases], examples: int, steps: int) -> None:
    made = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=True,
        # Real engines are too slow to look for a smaller example.
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
    )
    before = len(os.listdir("/proc/self/fd"))
    run_state_machine_as_test(machine, settings=made)
    assert len(os.listdir("/proc/self/fd")) == before, "descriptors were left behind"


def test_whatever_happens_on_llama(llama: type[LlamaLeases]) -> None:
    play(llama, examples=10, steps=25)


@pytest.mark.parametrize("kind", tinykinds.KINDS)
def test_whatever_happens_on_a_model_that_cannot_share(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(on(tinykinds.make(tmp_path / "tiny.gguf", kind), monkeypatch), examples=3, steps=20)


@pytest.mark.soak
def test_whatever_happens_on_llama_for_long(llama: type[LlamaLeases], rng: random.Random) -> None:
    play(seed(rng.getrandbits(64))(llama), examples=400, steps=50)
