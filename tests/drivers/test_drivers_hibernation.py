"""A model that leaves memory and comes back, over llama.cpp: the next engine finds the images of the last one."""

from pathlib import Path

import pytest

from llmsh.kernel.settings import Settings
from tests.support import tinymodel
from tests.support.llamamachine import LlamaMachine
from tests.support.machine import Client

pytestmark = pytest.mark.llama
LINES = (b"All happy families are alike, each unhappy family is unhappy in its own way. " * 4 + b"\n", b"Go on.\n")
COUNT = 3


def say(machine: LlamaMachine, client: Client, pid: int, line: bytes) -> None:
    machine.clock.run_until(lambda: pid in client.wanted)
    client.wanted.pop(pid)
    client.call("write", line, pid=pid, fd=0)
    machine.clock.run_until(lambda: pid in client.wanted)


def said(model: Path, swap: Path, leaves: bool) -> tuple[list[bytes], int]:
    """What chats say to two lines, and input tokens computed for the second. Exact ones, since their images are worth
    their file however fast the model is."""
    settings = Settings(strict=True, swap_memory=64 << 20, swap_file=64 << 20)
    machine = LlamaMachine(model, settings=settings, swap=str(swap))
    try:
        client = machine.client()
        params = {"max_tokens": 30, "deterministic": True}
        pids = [client.run("talk", "", stdin="client", model="fake:a", params=params) for _ in range(COUNT)]
        for pid in pids:
            say(machine, client, pid, LINES[0])
        host = machine.kernel.hosts["fake:a"]
        if leaves:
            machine.kernel.models.limit = host.size + (1 << 20)
            other = client.run("say", model="fake:b")
            machine.clock.run_until(lambda: client.exited(other) is not None)
            assert host.state == "out"
            assert all(client.row(pid)["swap_bytes"] for pid in pids)
        fed = host.tokens_in
        for pid in pids:
            say(machine, client, pid, LINES[1])
        assert host.incarnation == 1 + leaves
        machine.sound()
        return [bytes(client.out[pid]) for pid in pids], host.tokens_in - fed
    finally:
        machine.close()


def test_chats_go_on_as_if_their_model_had_never_left(tmp_path: Path) -> None:
    model = tinymodel.make(tmp_path / "tiny.gguf")
    stays, leaves = (said(model, tmp_path, leaves) for leaves in (False, True))
    assert stays == leaves
