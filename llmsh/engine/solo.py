"""One context with one sequence in it, for measuring a model: tokens in, logits out, nothing shared.

It knows no lease and no other sequence; an engine that serves has cores (core.py).
"""

import ctypes
import os
from typing import Any

import numpy as np

from llmsh.abi.errors import Error
from llmsh.engine import cachetype
from llmsh.engine.batch import Batch
from llmsh.engine.binding import C
from llmsh.engine.model import Model

BATCH = 512
"""Tokens of one decode at most, as in an engine."""

Floats = np.ndarray[Any, np.dtype[np.float32]]


def threads() -> tuple[int, int]:
    """For single tokens and for prompts: what the daemon gives an engine when nothing is configured."""
    count = len(os.sched_getaffinity(0))
    return max(1, count - 1), count


class Solo:
    """A sequence of at most `cells` tokens. Raises Error ENOMEM."""

    def __init__(self, model: Model, cells: int) -> None:
        params = C.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = params.n_ubatch = BATCH
        params.n_seq_max = 1
        params.n_threads, params.n_threads_batch = threads()
        params.no_perf = True
        cachetype.apply(params)
        self._handle = C.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise Error("ENOMEM", f"no memory for a cache of {cells} cells")
        self._memory = C.llama_get_memory(self._handle)
        self._batch = Batch(BATCH)
        self._vocab = model.size
        self._length = 0

    def clear(self) -> None:
        """Forget the sequence."""
        C.llama_memory_clear(self._memory, True)
        self._length = 0

    def feed(self, tokens: list[int], logits: str = "none") -> Floats:
        """Append at most BATCH tokens. `logits`: none, last or all; shape (rows wanted, vocabulary), valid
        until the next call. Raises Error EIO."""
        self._batch.clear()
        self._batch.add(tokens, self._length, 0, logits)
        result = C.llama_decode(self._handle, self._batch.struct)
        if result:
            raise Error("EIO", f"llama_decode returned {result}")
        C.llama_synchronize(self._handle)
        self._length += len(tokens)
        if not self._batch.outputs:
            return np.empty((0, self._vocab), np.float32)
        address = ctypes.addressof(C.llama_get_logits(self._handle).contents)
        kind = ctypes.c_float * (self._batch.outputs * self._vocab)
        return np.ctypeslib.as_array(kind.from_address(address)).reshape(-1, self._vocab)

    def close(self) -> None:
        """Give the memory back."""
        C.llama_free(self._handle)
        self._handle = None
