"""One batch of tokens for llama_decode, filled again for every step.

The C structure points into numpy arrays that live as long as the batch, so that filling it costs a
few assignments. No token carries two sequence ids: llama.cpp's clean-up looks at the first only.
It knows slots (llama.cpp's sequence ids), no sequences.
"""

import ctypes
from typing import Any

import numpy as np

from llmsh.engine.binding import C


class Batch:
    """Room for `capacity` tokens."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self.outputs = 0
        self._token = np.zeros(capacity, np.int32)
        self._pos = np.zeros(capacity, np.int32)
        self._slot = np.zeros(capacity, np.int32)
        self._count = np.ones(capacity, np.int32)
        self._logits = np.zeros(capacity, np.int8)
        self._slots = (self._slot.ctypes.data + 4 * np.arange(capacity)).astype(np.uint64)
        self._steps = np.arange(capacity, dtype=np.int32)
        self.struct = C.llama_batch(
            n_tokens=0,
            token=_pointer(self._token, C.llama_token),
            embd=None,
            pos=_pointer(self._pos, C.llama_pos),
            n_seq_id=_pointer(self._count, ctypes.c_int32),
            seq_id=_pointer(self._slots, ctypes.POINTER(C.llama_seq_id)),
            logits=_pointer(self._logits, ctypes.c_int8),
        )

    def clear(self) -> None:
        """Begin a step."""
        self.size = self.outputs = 0

    def add(self, tokens: list[int], pos: int, slot: int, logits: str) -> int:
        """Tokens at positions pos, pos + 1, … of a slot. `logits`: none, last or all. Returns the
        row of the first output."""
        start, count = self.size, len(tokens)
        end = self.size = start + count
        row = self.outputs
        if count == 1:
            self._token[start], self._pos[start], self._slot[start] = tokens[0], pos, slot
            self._logits[start] = logits != "none"
        else:
            self._token[start:end] = tokens
            self._pos[start:end] = self._steps[:count] + pos
            self._slot[start:end] = slot
            self._logits[start:end] = logits == "all"
            if logits == "last":
                self._logits[end - 1] = 1
        if logits != "none":
            self.outputs += count if logits == "all" else 1
        self.struct.n_tokens = end
        return row


def _pointer(array: "np.ndarray[Any, Any]", kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
