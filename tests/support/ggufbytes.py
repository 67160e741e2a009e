"""Small GGUF files written by hand, so that a test can make any part of one wrong.

It knows the format and not what is checked.
"""

import struct

U8, U32, I32, F32, STRING, ARRAY, U64 = 0, 4, 5, 6, 8, 9, 10


def text(value: str) -> bytes:
    """A string as it stands in the file."""
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def number(key: str, value: int, kind: int = U32) -> bytes:
    """A key with an integer."""
    return text(key) + struct.pack("<I", kind) + struct.pack("<Q" if kind == U64 else "<I", value)


def string(key: str, value: str) -> bytes:
    """A key with a string."""
    return text(key) + struct.pack("<I", STRING) + text(value)


def array(key: str, kind: int, length: int, body: bytes) -> bytes:
    """A key with an array; length and body need not agree."""
    return text(key) + struct.pack("<IIQ", ARRAY, kind, length) + body


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    """A tensor's entry."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


KEYS = {
    "architecture": string("general.architecture", "llama"),
    "name": string("general.name", "Tiny"),
    "context": number("llama.context_length", 64),
    "blocks": number("llama.block_count", 1),
    "embedding": number("llama.embedding_length", 32),
    "heads": number("llama.attention.head_count", 4),
    "tokenizer": string("tokenizer.ggml.model", "gpt2"),
    "tokens": array("tokenizer.ggml.tokens", STRING, 3, text("a") + text("b") + text("c")),
    "kinds": array("tokenizer.ggml.token_type", I32, 3, struct.pack("<3i", 1, 1, 1)),
    "eos": number("tokenizer.ggml.eos_token_id", 2),
}
TENSORS = (tensor("token_embd.weight", (32, 3), 0, 0), tensor("output.weight", (32, 2), 8, 384))
DATA = 384 + 68


def build(
    keys: dict[str, bytes] | None = None,
    tensors: tuple[bytes, ...] = TENSORS,
    version: int = 3,
    counts: tuple[int, int] | None = None,
    data: int = DATA,
) -> bytes:
    """A whole file; what a test wants wrong it says."""
    entries = {**KEYS, **(keys or {})}
    head = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(entries))))
    head += b"".join(entries.values()) + b"".join(tensors)
    return head + bytes(-len(head) % 32 + data)
