"""Makes a tiny random model: llama architecture, two layers, bytes and a few merges as vocabulary.

Real llama.cpp runs it in a fraction of a millisecond a token. The same seed gives the same file. Its
greedy text is printable ASCII without meaning; ends of text come only when a test asks for them.

    python tests/support/tinymodel.py OUT.gguf [--ctx N] [--seed N] [--bos] [--no-template]
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np

LAYERS, HEADS, WIDTH, INNER = 2, 4, 64, 128
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|bos|>")
WORDS = (" the", " and", " of", "th", "he", "in", "er", "an", " a", "re", "on", "at", " t", " o", "nd", " an", "ing")
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _letters() -> dict[int, str]:
    """GPT-2's printable stand-ins for bytes."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    out = {byte: chr(byte) for byte in kept}
    for byte in range(256):
        if byte not in out:
            out[byte] = chr(256 + len(out) - len(kept))
    return out


def _vocabulary() -> tuple[list[str], list[int], list[str]]:
    """Tokens, their types, merges."""
    letters = _letters()
    tokens = [letters[byte] for byte in range(256)]
    merges: list[str] = []
    for word in sorted(WORDS, key=len):
        spelled = "".join(letters[byte] for byte in word.encode())
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in tokens:
                tokens.append(spelled[:end])
                merges.append(f"{spelled[: end - 1]} {spelled[end - 1]}")
    kinds = [gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(SPECIAL)
    return [*tokens, *SPECIAL], [int(kind) for kind in kinds], merges


def pieces() -> list[bytes]:
    """The bytes of each token; nothing for special ones."""
    byte = {letter: value for value, letter in _letters().items()}
    words = [bytes(byte[letter] for letter in token) for token in _vocabulary()[0] if token not in SPECIAL]
    return words + [b""] * len(SPECIAL)


def begin(path: Path, architecture: str, *, ctx: int, bos: bool = False, template: str = TEMPLATE) -> gguf.GGUFWriter:
    """A file of that architecture with everything that is the same in all of them."""
    tokens, kinds, merges = _vocabulary()
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_name("tiny")
    writer.add_context_length(ctx)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_eot_token_id(tokens.index("<|im_end|>"))
    writer.add_bos_token_id(tokens.index("<|bos|>"))
    writer.add_add_bos_token(bos)
    if template:
        writer.add_chat_template(template)
    return writer


def finish(writer: gguf.GGUFWriter) -> None:
    """Write what was added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def words(random: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A row a token. Control characters, bytes over 127 and special tokens never win by themselves."""
    tokens = _vocabulary()[0]
    out = random.normal(0, 1.0, (len(tokens), WIDTH)).astype(np.float32)
    for i, token in enumerate(tokens):
        if token in SPECIAL or not all(char == "Ġ" or " " < char < "\x7f" for char in token):
            out[i] = 0
    return out


def make(path: Path, *, ctx: int = 2048, seed: int = 1, bos: bool = False, template: str = TEMPLATE) -> Path:
    """Write the model."""
    writer = begin(path, "llama", ctx=ctx, bos=bos, template=template)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    _weights(writer, np.random.default_rng(seed))
    finish(writer)
    return path


def _weights(writer: gguf.GGUFWriter, random: np.random.Generator) -> None:
    def tensor(name: str, *shape: int, scale: float) -> None:
        writer.add_tensor(name, random.normal(0, scale, shape).astype(np.float32))

    tensor("token_embd.weight", len(_vocabulary()[0]), WIDTH, scale=1.0)
    writer.add_tensor("output.weight", words(random))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{name}{norm}.weight", np.ones(WIDTH, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"{name}{part}.weight", WIDTH, WIDTH, scale=0.25)
        tensor(f"{name}ffn_gate.weight", INNER, WIDTH, scale=0.2)
        tensor(f"{name}ffn_up.weight", INNER, WIDTH, scale=0.2)
        tensor(f"{name}ffn_down.weight", WIDTH, INNER, scale=0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a tiny random model.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--ctx", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bos", action="store_true")
    parser.add_argument("--no-template", action="store_true")
    options = parser.parse_args()
    template = "" if options.no_template else TEMPLATE
    make(options.out, ctx=options.ctx, seed=options.seed, bos=options.bos, template=template)
    return 0


if __name__ == "__main__":
    sys.exit(main())
