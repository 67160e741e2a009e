"""A bare loop over llama.cpp for one conversation at a time: no kernel, no engine, no lease.

Programs and their prompts are tried on it. It reads a template with jinja2 and knows no program.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Any

import jinja2.sandbox
import llama_cpp as lib
import numpy as np

from llmsh.abi.lease import Piece, Sampling
from llmsh.engine import cachetype
from llmsh.engine.schema import to_grammar

_silent = lib.llama_log_callback(lambda _level, _text, _data: None)
"""Kept here: a log callback that is collected ends the process."""


class BareLlama:
    """One model with one context. `close` gives both back."""

    def __init__(self, path: str, context: int = 4096, threads: int = 1) -> None:
        lib.llama_log_set(_silent, ctypes.c_void_p(0))
        loading = lib.llama_model_default_params()
        # Compiled by a g++ before 13 for a CPU with AMX, llama.cpp's matrix product ends the process; others
        # only lose a little speed by this.
        loading.use_extra_bufts = False
        self._model = lib.llama_model_load_from_file(path.encode(), loading)
        assert self._model, path
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._size = lib.llama_vocab_n_tokens(self._vocab)
        params = lib.llama_context_default_params()
        params.n_ctx = params.n_batch = self.context = context
        params.n_ubatch = 512
        cachetype.apply(params)  # rounding differs from one to the other
        params.n_threads = params.n_threads_batch = threads
        self._ctx = lib.llama_init_from_model(self._model, params)
        assert self._ctx
        self._memory = lib.llama_get_memory(self._ctx)
        source = lib.llama_model_chat_template(self._model, None).decode()
        self._template = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(source)
        self.log: list[int] = []
        self._held = 0

    def close(self) -> None:
        lib.llama_free(self._ctx)
        lib.llama_model_free(self._model)

    def tokens(self, text: str, special: bool = False) -> list[int]:
        data = text.encode()
        buffer = (lib.llama_token * (len(data) + 8))()
        n = lib.llama_tokenize(self._vocab, data, len(data), buffer, len(buffer), False, special)
        return list(buffer[:n])

    def piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        n = lib.llama_token_to_piece(self._vocab, token, buffer, 256, 0, False)
        return buffer.raw[:n]

    def render(self, pieces: list[Piece], raw: bool) -> list[int]:
        if raw:
            return self.tokens("".join(piece.content for piece in pieces))
        messages = [{"role": piece.role, "content": piece.content} for piece in pieces]
        text = self._template.render(messages=messages, add_generation_prompt=True, bos_token="", eos_token="")
        return self.tokens(text, special=True)

    def place(self, log: list[int]) -> None:
        """Make the conversation these tokens; what is in the cache of them stays."""
        common = 0
        while common < min(self._held, len(log) - 1) and self.log[common] == log[common]:
            common += 1
        lib.llama_memory_seq_rm(self._memory, 0, common, -1)
        self.log, self._held = list(log), common

    def row(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Logits after the log; a copy."""
        rest = self.log[self._held :]
        array = (lib.llama_token * len(rest))(*rest)
        assert lib.llama_decode(self._ctx, lib.llama_batch_get_one(array, len(rest))) == 0
        self._held = len(self.log)
        pointer = lib.llama_get_logits_ith(self._ctx, -1)
        return np.ctypeslib.as_array(pointer, (self._size,)).copy()

    def generate(self, sampling: Sampling, limit: int) -> tuple[str, bytes, int]:
        """(why, text, tokens): greedy with the repeat penalty, stop strings and grammar of `sampling`."""
        text, count = b"", 0
        with self._grammar(sampling.grammar) as grammar:
            while True:
                if limit and count >= limit:
                    return "limit", text, count
                if len(self.log) >= self.context:
                    return "full", text, count
                token = self._pick(self.row(), sampling, grammar)
                if lib.llama_vocab_is_eog(self._vocab, token):
                    return "eos", text, count
                if grammar:
                    lib.llama_sampler_accept(grammar, token)
                self.log.append(token)
                text, count = text + self.piece(token), count + 1
                for stop in sampling.stop:
                    if stop.encode() in text:
                        return "stop", text.partition(stop.encode())[0], count

    def _pick(self, row: Any, sampling: Sampling, grammar: Any) -> int:
        last = sampling.penalty_last
        if sampling.repeat_penalty != 1.0 and last:
            ids = np.unique(self.log[-last:])
            row[ids] = np.where(row[ids] > 0, row[ids] / sampling.repeat_penalty, row[ids] * sampling.repeat_penalty)
        best = int(row.argmax())
        if not grammar or self._mask(grammar, np.array([best], np.int32), row)[0] > -np.inf:
            return best
        masked = self._mask(grammar, np.arange(self._size, dtype=np.int32), row)
        assert masked.max() > -np.inf, "the grammar permits nothing"
        return int(masked.argmax())

    @contextlib.contextmanager
    def _grammar(self, text: str) -> Iterator[Any]:
        handle = lib.llama_sampler_init_grammar(self._vocab, text.encode(), b"root") if text else None
        try:
            yield handle
        finally:
            if handle:
                lib.llama_sampler_free(handle)

    @staticmethod
    def _mask(grammar: Any, tokens: Any, row: Any) -> Any:
        """Logits of these tokens, -inf where one may not come."""
        candidates = np.zeros(tokens.size, np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)]))
        candidates["id"], candidates["logit"] = tokens, row[tokens]
        pointer = ctypes.cast(candidates.ctypes.data, lib.llama_token_data_p)
        array = lib.llama_token_data_array(data=pointer, size=tokens.size, selected=-1, sorted=False)
        lib.llama_sampler_apply(grammar, ctypes.byref(array))
        return candidates["logit"]

    def score(self, labels: list[str]) -> list[float]:
        """Sums of log-probabilities of each label as what follows the log."""
        base = list(self.log)
        out = []
        for label in labels:
            total, self.log = 0.0, list(base)
            for token in self.tokens(label):
                if self._held > len(base) - 1 and self.log == base:
                    self.place(base)
                row = self.row().astype(np.float64)
                row -= row.max()
                total += float(row[token] - np.log(np.exp(row).sum()))
                self.log.append(token)
            out.append(total)
            self.place(base)
        return out

    @staticmethod
    def grammar(schema: str) -> str:
        return to_grammar(schema)


def model_path() -> str:
    """SmolLM2 for tests: LLMSH_TEST_MODEL, else where `llmsh model pull` puts it; empty for none."""
    from llmsh.abi import paths

    path = os.environ.get("LLMSH_TEST_MODEL") or paths.model_file("smollm2")
    return path if os.path.exists(path) else ""
