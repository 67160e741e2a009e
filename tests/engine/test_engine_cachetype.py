"""What cells keep: two types of the same size, and which of them is chosen."""

import os
from pathlib import Path

import numpy as np

from llmsh.abi import abort
from llmsh.abi.limits import CACHE_TYPES
from llmsh.engine import cachetype
from llmsh.engine.binding import C
from llmsh.engine.core import AbortPage, Core
from llmsh.engine.model import Model


def test_every_type_of_the_setting_is_one_of_ggml() -> None:
    assert {cachetype.AUTO, *cachetype.TYPES} == set(CACHE_TYPES)
    assert cachetype.name("f16") == "f16"
    assert cachetype.name() == ("bf16" if b"AVX512_BF16 = 1" in C.llama_print_system_info() else "f16")


def test_both_types_take_the_same_room_and_say_nearly_the_same(tiny: Path) -> None:
    fd = os.memfd_create("abort")
    os.ftruncate(fd, abort.SIZE)
    model, page = Model(str(tiny)), AbortPage(fd)
    images, rows = [], []
    for kind in ("f16", "bf16"):
        core = Core(model, 0, 256, 2, threads=(1, 1), page=page, kind=kind)
        core.batch.add([1, 2, 3, 4, 5, 6, 7, 8], 0, 0, "last")
        assert core.decode()[1] == 0
        rows.append(core.logits()[0].copy())
        images.append(core.save(0).copy())
        assert core.tiled == (kind == "f16")
        core.close()
    os.close(fd)
    assert images[0].size == images[1].size
    assert not np.array_equal(images[0], images[1])
    assert np.allclose(rows[0], rows[1], atol=0.1 * float(np.abs(rows[0]).max()))
