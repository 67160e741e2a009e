"""The other side of the overhead row: a loop over llama.cpp with nothing around it.

A process of its own with the model loaded, so that it and the daemon can take turns without loading
anything: a line of JSON in, a line out. It fills a batch, decodes, takes the likeliest token of each
row, and knows no kernel, lease, text or stop. Run by overhead.py.
"""

import argparse
import json
import os
import sys
import time
from typing import Any

import numpy as np

from llmsh.engine import cachetype, sandbox
from llmsh.engine.binding import C, start

BATCH = 512


class Bare:
    """A model and one context. The options are those that an engine sets."""

    def __init__(self, model: str, cells: int, sequences: int, threads: int) -> None:
        start()
        loading = C.llama_model_default_params()
        loading.n_gpu_layers = 0
        self.model = C.llama_model_load_from_file(model.encode(), loading)
        assert self.model, model
        self.vocab = C.llama_model_get_vocab(self.model)
        self.size = int(C.llama_vocab_n_tokens(self.vocab))
        params = C.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = cells, BATCH, BATCH
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        params.no_perf = True
        cachetype.apply(params)
        self.context = C.llama_init_from_model(self.model, params)
        assert self.context
        self.batch = C.llama_batch_init(BATCH, 0, 1)

    def tokens(self, text: str) -> list[int]:
        """A text's tokens."""
        data = text.encode()
        buffer = (C.llama_token * (len(data) + 8))()
        return list(buffer[: C.llama_tokenize(self.vocab, data, len(data), buffer, len(buffer), False, False)])

    def _put(self, token: int, pos: int, sequence: int, row: bool) -> None:
        batch, i = self.batch, self.batch.n_tokens
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, pos, 1, row
        batch.seq_id[i][0] = sequence
        batch.n_tokens = i + 1

    def _decode(self, rows: int) -> list[int]:
        """Decode the batch: the likeliest token of each row."""
        assert C.llama_decode(self.context, self.batch) == 0
        self.batch.n_tokens = 0
        logits = np.ctypeslib.as_array(C.llama_get_logits(self.context), (rows, self.size))
        return [int(row.argmax()) for row in logits]

    def decode(self, text: str, sequences: int, tokens: int) -> float:
        """`tokens` greedy tokens after the text in each of so many sequences: seconds from when all
        have their first to when all have their last."""
        prompt = self.tokens(text)
        C.llama_memory_clear(C.llama_get_memory(self.context), False)
        last = []
        for sequence in range(sequences):
            for pos, token in enumerate(prompt):
                self._put(token, pos, sequence, row=pos == len(prompt) - 1)
            last += self._decode(1)
        began = time.perf_counter()
        for pos in range(len(prompt), len(prompt) + tokens - 1):
            for sequence, token in enumerate(last):
                self._put(token, pos, sequence, row=True)
            last = self._decode(sequences)
        return time.perf_counter() - began


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.bare")
    parser.add_argument("--model", required=True)
    for name in ("cells", "sequences", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


def main() -> int:
    """Serve lines until the end of standard input."""
    options = _options()
    # What an engine does before it loads a model: the same priority and the same limits.
    sandbox.lower()
    sandbox.enter(options.model)
    bare = Bare(options.model, options.cells, options.sequences, options.threads)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        print(json.dumps({"seconds": bare.decode(asked["text"], asked["sequences"], asked["tokens"])}), flush=True)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # llama.cpp's clean-up is not measured
