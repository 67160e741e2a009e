"""A grammar over tokens: llama.cpp's grammar sampler, asked as little as possible.

Applied to a whole vocabulary it takes 8 ms (49,152 tokens), for one token microseconds. So a chosen
token is checked alone, and the vocabulary is masked only when it fails. It knows no logits but those
it is handed.
"""

import ctypes
import math
from typing import Any

import numpy as np

from llmsh.engine.binding import C
from llmsh.engine.model import Model

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
Floats = np.ndarray[Any, np.dtype[np.float32]]


class Grammar:
    """One answer's place in a grammar given as GBNF. Raises ValueError when it cannot be parsed."""

    def __init__(self, model: Model, text: str) -> None:
        self._handle = C.llama_sampler_init_grammar(model.vocab, text.encode(), b"root")
        if not self._handle:
            raise ValueError("the grammar cannot be parsed")
        self._size = model.size
        self._eog = model.eog
        self._probe = _probe(model)
        self._one = np.zeros(1, _CANDIDATE)

    def _apply(self, candidates: "np.ndarray[Any, Any]") -> None:
        pointer = ctypes.cast(candidates.ctypes.data, C.llama_token_data_p)
        array = C.llama_token_data_array(data=pointer, size=candidates.size, selected=-1, sorted=False)
        C.llama_sampler_apply(self._handle, ctypes.byref(array))

    def permits(self, token: int) -> bool:
        """Whether this token may come now."""
        self._one["id"], self._one["logit"] = token, 0.0
        self._apply(self._one)
        return bool(self._one["logit"][0] > -math.inf)

    def mask(self, row: Floats) -> Floats:
        """The row with -inf where a token may not come."""
        candidates = np.zeros(self._size, _CANDIDATE)
        candidates["id"] = np.arange(self._size)
        candidates["logit"] = row
        self._apply(candidates)
        return np.ascontiguousarray(candidates["logit"])

    def accept(self, token: int) -> bool:
        """Go on by this token; False, and nothing done, when it may not come (llama.cpp would end
        the process)."""
        if not self.permits(token):
            return False
        C.llama_sampler_accept(self._handle, token)
        return True

    def ended(self) -> bool:
        """Whether nothing but the end of the text may come. Looked at only where the text may end,
        and through the tokens of one byte: a longer one begins with one of them."""
        if self._eog and not self.permits(min(self._eog)):
            return False
        candidates = np.zeros(self._probe.size, _CANDIDATE)
        candidates["id"] = self._probe
        self._apply(candidates)
        return not bool((candidates["logit"] > -math.inf).any())

    def close(self) -> None:
        """Give the memory back."""
        if self._handle:
            C.llama_sampler_free(self._handle)
            self._handle = None


def _probe(model: Model) -> Any:
    """For each first byte the shortest tokens that begin with it; those of one byte where they are."""
    shortest: dict[int, int] = {}
    found: list[int] = []
    if model.probe is None:
        for token, piece in enumerate(model.pieces):
            if len(piece) == 1:
                found.append(token)
            elif piece:
                known = shortest.get(piece[0])
                if known is None or len(piece) < len(model.pieces[known]):
                    shortest[piece[0]] = token
        single = {model.pieces[token][0] for token in found}
        found += [token for byte, token in shortest.items() if byte not in single]
        model.probe = np.array(found, np.int32)
    return model.probe
