"""What llama.cpp says of a cache when it is asked to: how far it is used. Its interface tells nobody.

It is said whenever a place for cells is looked for. Contexts must be made while `watch` is on.
"""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llmsh.engine import binding
from llmsh.engine.binding import C
from llmsh.engine.core import Core

LINE = re.compile(rb"find_slot: stream\[0\], n = *(\d+), used = *(\d+),")


class CacheLog:
    """`found`: (highest, used) at each search."""

    def __init__(self) -> None:
        self.found: list[tuple[int, int]] = []
        self._images: dict[int, object] = {}

    def said(self, _level: int, text: bytes, _data: object) -> None:
        """One line of llama.cpp's log."""
        match = LINE.search(text)
        if match:
            self.found.append((int(match[1]), int(match[2])))

    def probe(self, core: Core, slot: int) -> list[tuple[int, int]]:
        """What a core's caches say now, of no cells when there are none. `slot` is free; nothing is changed."""
        if id(core) not in self._images:
            core.batch.clear()
            core.batch.add([1], 0, slot, "last")
            if C.llama_decode(core.handle, core.batch.struct):
                return []
            self._images[id(core)] = core.save(slot)
            core.remove(slot, 0)
        self.found.clear()
        core.load(slot, self._images[id(core)])  # type: ignore[arg-type]  # made by save
        core.remove(slot, 0)
        return self.found


@contextmanager
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[CacheLog]:
    """A log of the contexts that are made meanwhile."""
    log = CacheLog()
    callback = C.llama_log_callback(log.said)
    monkeypatch.setenv("LLAMA_KV_CACHE_DEBUG", "1")
    C.llama_log_set(callback, ctypes.c_void_p(0))
    yield log
    C.llama_log_set(binding._log, ctypes.c_void_p(0))
