"""Threads that OpenMP keeps: of this process, after a step of several threads over llama.cpp."""

import os
from pathlib import Path

import pytest

from llmsh.abi import abort
from llmsh.engine import openmp
from llmsh.engine.core import AbortPage, Core
from llmsh.engine.model import Model
from tests.support.tinymodel import make

pytestmark = pytest.mark.llama


def threads() -> set[str]:
    return set(os.listdir("/proc/self/task"))


def test_who_led_a_team_can_dismiss_it(tmp_path: Path) -> None:
    fd = os.memfd_create("abort")
    os.ftruncate(fd, abort.SIZE)
    page = AbortPage(fd)
    os.close(fd)
    model = Model(str(make(tmp_path / "tiny.gguf")))
    core = Core(model, 0, 256, 1, threads=(2, 2), page=page)
    try:
        openmp.dismiss()  # those of other tests
        before = threads()
        for round_ in range(3):
            core.batch.clear()
            core.batch.add([65], round_, 0, "last")
            _, rc, _ = core.decode((2, 2))
            assert rc == 0
            helpers = threads() - before
            assert len(helpers) == 1, "llama.cpp keeps no thread between steps any more: openmp.py has no use"
            openmp.dismiss()
            assert not threads() - before
        openmp.dismiss()
    finally:
        core.close()
        model.close()
