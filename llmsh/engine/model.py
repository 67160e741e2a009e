"""The model: its weights, its vocabulary, its words to tokens and back.

It knows no cache and no sequence. Its functions may be called from any thread.
"""

import ctypes
import os
from typing import Any

from llmsh.abi.errors import Error
from llmsh.engine.binding import C


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "replace") if value else ""


class Model:
    """A loaded GGUF. Raises Error ENOENT, EACCES, ENOEXEC (no model) or ENOMEM."""

    def __init__(self, path: str) -> None:
        self._fd = _open(path)
        _check(self._fd, path)
        params = C.llama_model_default_params()
        params.n_gpu_layers = 0
        self.handle = C.llama_model_load_from_file(f"/proc/self/fd/{self._fd}".encode(), params)
        if not self.handle:
            raise Error("ENOEXEC", f"{path}: llama.cpp cannot load this model")
        self.vocab = C.llama_model_get_vocab(self.handle)
        self.size = int(C.llama_vocab_n_tokens(self.vocab))
        self.trained = int(C.llama_model_n_ctx_train(self.handle))
        self.bos = int(C.llama_vocab_bos(self.vocab))
        self.eos = int(C.llama_vocab_eos(self.vocab))
        self.add_bos = bool(C.llama_vocab_get_add_bos(self.vocab)) and self.bos >= 0
        self.states = bool(C.llama_model_is_recurrent(self.handle) or C.llama_model_is_hybrid(self.handle))
        """Whether a state stands for all tokens so far: in recurrent models and hybrid ones."""
        self._window = int(C.llama_model_n_swa(self.handle))
        self.bytes = int(C.llama_model_size(self.handle))
        self.probe: Any = None
        """Kept here by grammar.py: it is the same for every grammar."""
        self._vocabulary()

    def _vocabulary(self) -> None:
        """Every token's bytes; tokens that end a text; control tokens, which render as nothing."""
        vocab, piece, attr = self.vocab, C.llama_token_to_piece, C.llama_vocab_get_attr
        special = C.LLAMA_TOKEN_ATTR_CONTROL | C.LLAMA_TOKEN_ATTR_UNKNOWN
        buffer = ctypes.create_string_buffer(256)
        pieces: list[bytes] = []
        self.special: dict[str, int] = {}
        for token in range(self.size):
            n = piece(vocab, token, buffer, 256, 0, False)
            if not n and attr(vocab, token) & special:
                self.special[_text(C.llama_vocab_get_text(vocab, token))] = token
            pieces.append(buffer.raw[:n] if n >= 0 else self._long_piece(token, -n))
        self.pieces = pieces
        self.longest = max((len(each) for each in pieces), default=1)
        candidates = {*self.special.values(), self.eos, int(C.llama_vocab_eot(vocab))}
        self.eog = frozenset(t for t in candidates if 0 <= t < self.size and C.llama_vocab_is_eog(vocab, t))

    def _long_piece(self, token: int, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        n = C.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
        return buffer.raw[: max(0, n)]

    def token_text(self, token: int) -> str:
        """The token as it stands in the vocabulary, `<|im_end|>` for instance."""
        return _text(C.llama_vocab_get_text(self.vocab, token)) if 0 <= token < self.size else ""

    def template(self) -> str:
        """The chat template's source; empty for none."""
        return _text(C.llama_model_chat_template(self.handle, None))

    def description(self) -> str:
        """Architecture, size and format in one line."""
        buffer = ctypes.create_string_buffer(256)
        C.llama_model_desc(self.handle, buffer, 256)
        return _text(buffer.value)

    def shares(self, context: int) -> bool:
        """Whether sequences of at most `context` tokens can share cells and be cut anywhere.

        Not where there are states: they have no beginning that could be kept. Nor where a layer sees a window
        shorter than the context: llama.cpp gives the cells behind it to others as soon as it needs some, and a
        sequence that is cut would need them again."""
        return not self.states and (self._window <= 0 or self._window >= context)

    def _number(self, key: str, default: int) -> int:
        buffer = ctypes.create_string_buffer(128)
        C.llama_model_meta_val_str(self.handle, b"general.architecture", buffer, 128)
        name = buffer.value + b"." + key.encode()
        n = C.llama_model_meta_val_str(self.handle, name, buffer, 128)
        return int(buffer.value) if n > 0 and buffer.value.isdigit() else default

    def _heads_kv(self) -> int:
        """Heads with keys and values, of all layers together: some layers of a hybrid model have none."""
        buffer = ctypes.create_string_buffer(4096)
        C.llama_model_meta_val_str(self.handle, b"general.architecture", buffer, 128)
        n = C.llama_model_meta_val_str(self.handle, buffer.value + b".attention.head_count_kv", buffer, 4096)
        if 0 < n < 4096 and buffer.value.startswith(b"["):
            return sum(int(each) for each in buffer.value.strip(b"[]").split(b",") if each.strip().isdigit())
        return int(C.llama_model_n_head_kv(self.handle)) * int(C.llama_model_n_layer(self.handle))

    def cell_bytes(self) -> int:
        """Bytes of one cell: keys and values of every layer, two bytes a number. 0 for a recurrent model: its
        state takes the same room whatever the length."""
        heads = max(1, int(C.llama_model_n_head(self.handle)))
        width = int(C.llama_model_n_embd(self.handle)) // heads
        each = self._number("attention.key_length", width) + self._number("attention.value_length", width)
        return 2 * each * self._heads_kv()

    def tokenize(self, text: str) -> list[int]:
        """Text to tokens; special tokens in it are text."""
        data = text.encode("utf-8", "surrogateescape")
        room = len(data) + 8
        buffer = (C.llama_token * room)()
        n = C.llama_tokenize(self.vocab, data, len(data), buffer, room, False, False)
        if n < 0:
            room = -n
            buffer = (C.llama_token * room)()
            n = C.llama_tokenize(self.vocab, data, len(data), buffer, room, False, False)
        return list(buffer[: max(0, n)])

    def close(self) -> None:
        """Give the memory back; nothing of it may be used any more."""
        C.llama_model_free(self.handle)
        self.handle = None
        os.close(self._fd)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as exc:
        raise Error("ENOENT", f"{path}: no such model") from exc
    except OSError as exc:
        raise Error("EACCES", f"{path}: {(exc.strerror or 'cannot be opened').lower()}") from exc


def _check(fd: int, path: str) -> None:
    """What abi/gguf.py refuses never reaches llama.cpp."""
    from llmsh.abi import gguf

    try:
        gguf.check(fd)
    except Error as exc:
        raise Error(exc.code, exc.detail if path in exc.detail else f"{path}: {exc.detail}") from exc
