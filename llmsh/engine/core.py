"""A core: one llama_context with a cache of its own. Every call of llama.cpp on a cache is here.

It knows slots (sequence ids of llama.cpp) and cells, no sequences, logs or leases.
"""

import ctypes
import mmap
import time
from typing import Any

import numpy as np

from llmsh.abi import abort
from llmsh.abi.errors import Error
from llmsh.engine import cachetype
from llmsh.engine.batch import Batch
from llmsh.engine.binding import STRLEN, C
from llmsh.engine.image import Image
from llmsh.engine.model import Model

_libc = ctypes.CDLL(None)

SCRATCH = 8
"""Slots beside the sequences' own, where labels are scored."""
BATCH = 512
"""Tokens of one decode at most; one micro-batch, so that an abort undoes all of it or nothing."""

Floats = np.ndarray[Any, np.dtype[np.float32]]


class AbortPage:
    """The shared memory of abi/abort.py, as the engine uses it."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, abort.SIZE)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def address(self, core: int, step: int) -> int:
        """Where a step's byte lies."""
        return self._base + abort.place(core, step)

    def end(self, core: int, step: int) -> None:
        """The step has ended: its byte means nothing any more, nor one set long too late."""
        self._map[abort.place(core, step)] = 0
        self._map[abort.place(core, step + abort.AREA // 2)] = 0


class Core:
    """`slots` sequences in `cells` cells of a `kind` (see cachetype), and SCRATCH slots more. Raises Error ENOMEM."""

    def __init__(
        self,
        model: Model,
        index: int,
        cells: int,
        slots: int,
        *,
        threads: tuple[int, int],
        page: AbortPage,
        kind: str = cachetype.AUTO,
    ) -> None:
        params = C.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = params.n_ubatch = BATCH
        params.n_seq_max = slots + SCRATCH
        params.n_threads, params.n_threads_batch = threads
        params.kv_unified = True
        cachetype.apply(params, kind)
        params.swa_full = True
        params.no_perf = True
        self.handle = C.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise Error("ENOMEM", f"no memory for a cache of {cells} cells")
        self.index = index
        self.cells = int(C.llama_n_ctx(self.handle))
        self.slots = slots
        self.tiled = cachetype.tiled(kind)
        self.no = 0
        """Decodes so far; the first step is number 1."""
        self.batch = Batch(BATCH)
        self._memory = C.llama_get_memory(self.handle)
        self._vocab = model.size
        self._page = page
        self._give_back((slots + SCRATCH) * self._vocab * 4)
        self._threads = threads
        self._rows: Floats = np.empty((0, 0), np.float32)
        self._rows_at = 0

    def _give_back(self, size: int) -> None:
        """Llama.cpp makes room for a row of logits for every slot and fills it with zeros: 50 MB for
        256 slots and 49,152 tokens. Pages of zeros that are given back are zeros when next touched."""
        start = ctypes.addressof(C.llama_get_logits(self.handle).contents)
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            _libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)

    def decode(self, threads: tuple[int, int] | None = None) -> tuple[int, int, float]:
        """Decode the batch as the next step, on so many threads (single tokens, prompts): its number,
        llama_decode's result, milliseconds."""
        if threads is not None and threads != self._threads:
            self._threads = threads
            C.llama_set_n_threads(self.handle, *threads)
        self.no += 1
        no = self.no
        C.llama_set_abort_callback(self.handle, STRLEN, self._page.address(self.index, no))
        began = time.perf_counter()
        rc = C.llama_decode(self.handle, self.batch.struct)
        ms = (time.perf_counter() - began) * 1000
        self._page.end(self.index, no)
        return no, rc, ms

    def logits(self) -> Floats:
        """The outputs of the last decode, shape (outputs, vocabulary); valid until the next one."""
        address = ctypes.addressof(C.llama_get_logits(self.handle).contents)
        if address != self._rows_at or len(self._rows) < self.batch.outputs:
            # llama.cpp keeps its buffer until it needs a larger one; making a view takes 0.1 ms.
            kind = ctypes.c_float * (self.batch.outputs * self._vocab)
            self._rows = np.ctypeslib.as_array(kind.from_address(address)).reshape(-1, self._vocab)
            self._rows_at = address
        return self._rows[: self.batch.outputs]

    def remove(self, slot: int, start: int, end: int = -1) -> bool:
        """Forget a slot's cells at positions start … end - 1; end -1: to the last. False: this cache can only
        forget all."""
        return bool(C.llama_memory_seq_rm(self._memory, slot, start, end))

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Let `target` hold the cells of `source` at positions start … end - 1 as well; end -1: to the last."""
        C.llama_memory_seq_cp(self._memory, source, target, start, end)

    def save(self, slot: int, tail: bytes = b"") -> Image:
        """A slot's cells as an image, with `tail` behind it; empty when they cannot be saved."""
        room = C.llama_state_seq_get_size(self.handle, slot)
        image = np.empty(room + len(tail), np.uint8)
        kind = ctypes.POINTER(ctypes.c_uint8)
        n = C.llama_state_seq_get_data(self.handle, image.ctypes.data_as(kind), room, slot)
        image[n : n + len(tail)] = np.frombuffer(tail, np.uint8)
        return image[: n + len(tail) if n else 0]

    def load(self, slot: int, image: Image) -> bool:
        """Put an image, without a tail, into a slot; False when there is no room."""
        kind = ctypes.POINTER(ctypes.c_uint8)
        return bool(C.llama_state_seq_set_data(self.handle, image.ctypes.data_as(kind), image.size, slot))

    def close(self) -> None:
        """Give the memory back."""
        C.llama_free(self.handle)
        self.handle = None
