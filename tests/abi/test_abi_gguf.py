"""The check of GGUF headers: real files pass, anything else gets one line and never more."""

import os
import random
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES
from hypothesis import given, settings
from hypothesis import strategies as st

from llmsh.abi import ggml
from llmsh.abi.errors import Error
from llmsh.abi.gguf import ELEMENTS_MAX, Header, check, inspect
from tests.support.ggufbytes import (
    ARRAY,
    DATA,
    F32,
    I32,
    KEYS,
    STRING,
    TENSORS,
    U8,
    U64,
    array,
    build,
    number,
    string,
    tensor,
    text,
)


def outcome(data: bytes, folder: Path) -> Header | str:
    """The header, or the line with which the file is refused."""
    path = folder / "m.gguf"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return check(fd)
    except Error as exc:
        error = exc
    finally:
        os.close(fd)
    assert error.code == "ENOEXEC"
    assert error.detail.isprintable(), "one line, no control bytes"
    assert len(error.detail) < 2000
    return error.detail


@pytest.mark.parametrize("version", [2, 3])
def test_says_what_the_file_is(tmp_path: Path, version: int) -> None:
    header = outcome(build(version=version), tmp_path)
    assert isinstance(header, Header)
    assert header.version == version
    assert (header.architecture, header.name, header.context, header.vocabulary) == ("llama", "Tiny", 64, 3)
    assert (header.blocks, header.embedding, header.heads, header.heads_kv) == (1, 32, 4, 0)
    assert (header.parameters, header.tensors, header.template) == (160, 2, False)


def test_agrees_with_the_writer_of_ggml(tmp_path: Path) -> None:
    path = tmp_path / "written.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("Written")
    writer.add_context_length(128)
    writer.add_block_count(2)
    writer.add_embedding_length(64)
    writer.add_head_count(8)
    writer.add_head_count_kv(2)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([b"x", b"y"])
    writer.add_token_types([1, 1])
    writer.add_chat_template("{{ messages }}")
    writer.add_tensor("token_embd.weight", np.zeros((2, 64), dtype=np.float32))
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((3, 5), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = inspect(str(path))
    assert header[1:5] == ("llama", "Written", "", "Q8_0")
    assert (header.parameters, header.tensors, header.heads_kv, header.template) == (143, 2, 2, True)
    assert header.size == path.stat().st_size


@pytest.mark.smollm2
def test_knows_smollm2_and_reads_little_of_it(smollm2: Path) -> None:
    before = read_so_far()
    header = inspect(str(smollm2))
    assert read_so_far() - before < 4 << 20
    assert (header.architecture, header.file_type, header.context) == ("llama", "Q4_1", 8192)
    assert (header.parameters, header.vocabulary, header.template) == (134_515_008, 49_152, True)


def read_so_far() -> int:
    """Bytes this process has read, by the kernel's own count."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("rchar")).split()[1])


def test_a_huge_file_costs_its_header_only(tmp_path: Path) -> None:
    elements = 1 << 33
    path = tmp_path / "huge.gguf"
    path.write_bytes(build(tensors=(tensor("w", (32, elements // 32), 0, 0),), data=0))
    os.truncate(path, path.stat().st_size + 4 * elements)
    before = read_so_far()
    assert inspect(str(path)).parameters == elements
    assert read_so_far() - before < 2 << 20


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = build()
    for length in range(len(whole)):
        assert isinstance(outcome(whole[:length], tmp_path), str), length


def test_every_flipped_bit_is_refused_or_harmless(tmp_path: Path) -> None:
    whole = build()
    refused = 0
    for at in range((len(whole) - DATA) * 8):
        data = bytearray(whole)
        data[at // 8] ^= 1 << at % 8
        refused += isinstance(outcome(bytes(data), tmp_path), str)
    assert refused > 1000


@given(st.binary(max_size=4096))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert isinstance(outcome(data, folder), str)
    assert isinstance(outcome(b"GGUF" + struct.pack("<I", 3) + data, folder), str)


@given(st.integers(0, 1 << 32))
@settings(max_examples=100, deadline=None)
def test_shuffled_and_overwritten_files_get_one_line_or_pass(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = random.Random(seed)
    data = bytearray(build())
    for _ in range(rng.randrange(1, 12)):
        at = rng.randrange(len(data))
        edge = struct.pack("<Q", rng.choice([0, 1, 1 << 31, 1 << 63, (1 << 64) - 1]))
        piece = rng.choice([rng.randbytes(8), edge])
        data[at : at + len(piece)] = piece
    outcome(bytes(data), tmp_path_factory.getbasetemp())


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty file"),
    "text": (b"hello, world: this is no model at all", "not a GGUF file"),
    "version 1": (build(version=1), "GGUF version 1: 2 or 3 expected"),
    "version 4": (build(version=4), "GGUF version 4: 2 or 3 expected"),
    "big-endian": (build(version=3 << 24), "a big-endian GGUF file"),
    "no tensors": (build(tensors=()), "0 tensors and 10 keys"),
    "tensor count": (build(counts=(1 << 63, 10)), "tensors and 10 keys: at most"),
    "key count": (build(counts=(2, 1 << 63)), "at most 65536 and 4096"),
    "more keys than there are": (build(counts=(2, 4000)), ""),
    "key twice": (build({"x": KEYS["name"]}), "key 'general.name' stands twice"),
    "key empty": (build({"x": number("", 1)}), "key 10 is empty"),
    "key long": (build({"x": number("k" * 300, 1)}), "key 10: text of 300 bytes, at most 256 expected"),
    "key beyond the end": (build({"x": struct.pack("<Q", (1 << 64) - 1)}), "truncated: key 10"),
    "value type": (build({"x": text("x") + struct.pack("<I", 13)}), "value of 'x' has unknown type 13"),
    "array of arrays": (build({"x": array("x", ARRAY, 1, b"")}), "is an array of type 9"),
    "array beyond the end": (build({"x": array("x", U64, 1 << 61, b"")}), "truncated: value of 'x'"),
    "array length wraps": (build({"x": array("x", F32, 1 << 62, b"")}), "truncated: value of 'x'"),
    "strings beyond the end": (build({"x": array("x", STRING, 1 << 62, b"")}), "strings in a file of"),
    "string beyond the end": (build({"x": array("x", STRING, 1, struct.pack("<Q", 1 << 40))}), "truncated"),
    "control bytes in a key": (
        build({"x": number("\x1b[2J\n", 1) * 2}, counts=(2, 12)),
        r"key '\x1b[2J\n' stands twice",
    ),
    "no architecture": (build({"architecture": b""}, counts=(2, 9)), "general.architecture is ''"),
    "architecture": (build({"architecture": string("general.architecture", "a/../b")}), "general.architecture is"),
    "not a language model": (build({"context": b""}, counts=(2, 9)), "no llama.context_length: not a language model"),
    "context 0": (build({"context": number("llama.context_length", 0)}), "llama.context_length is 0"),
    "context a string": (build({"context": string("llama.context_length", "8")}), "is not an integer"),
    "no vocabulary": (build({"tokens": b""}, counts=(2, 9)), "no tokenizer.ggml.tokens"),
    "vocabulary of numbers": (build({"tokens": array("tokenizer.ggml.tokens", U8, 1, b"a")}), "is not an array of 1"),
    "too few token types": (
        build({"kinds": array("tokenizer.ggml.token_type", I32, 2, bytes(8))}),
        "tokenizer.ggml.token_type is not an array of 3 elements",
    ),
    "scores of another type": (
        build({"x": array("tokenizer.ggml.scores", U8, 3, bytes(3))}),
        "tokenizer.ggml.scores is not an array of 3 elements",
    ),
    "eos outside": (build({"eos": number("tokenizer.ggml.eos_token_id", 3)}), "eos_token_id is 3: expected 0 to 2"),
    "alignment 0": (build({"x": number("general.alignment", 0)}), "general.alignment is 0"),
    "alignment 33": (build({"x": number("general.alignment", 33)}), "a power of two expected"),
    "split": (build({"x": number("split.count", 3)}), "one of 3 parts"),
    "tensor twice": (build(tensors=(TENSORS[0], TENSORS[0])), "tensor 'token_embd.weight' stands twice"),
    "tensor without a name": (build(tensors=(tensor("", (32,), 0, 0),)), "tensor 0 has no name"),
    "tensor name long": (build(tensors=(tensor("n" * 64, (32,), 0, 0),)), "text of 64 bytes, at most 63"),
    "no dimension": (build(tensors=(tensor("w", (), 0, 0),)), "has 0 dimensions"),
    "five dimensions": (build(tensors=(tensor("w", (1, 1, 1, 1, 1), 0, 0),)), "has 5 dimensions"),
    "elements wrap": (build(tensors=(tensor("w", (1 << 32, 1 << 32), 0, 0),)), "elements in rows of"),
    "no elements": (build(tensors=(tensor("w", (32, 0), 0, 0),)), "0 elements"),
    "half a block": (build(tensors=(tensor("w", (33,), 8, 0),)), "33 elements in rows of 33, blocks of 32"),
    "tensor type": (build(tensors=(tensor("w", (32,), 4, 0),)), "tensor 'w' has unknown type 4"),
    "offset inside another": (build(tensors=(TENSORS[0], tensor("w", (32,), 0, 32))), "at offset 32: expected 384"),
    "offset beyond the end": (build(tensors=(TENSORS[0], tensor("w", (32,), 0, 1 << 62))), "expected 384"),
    "weights missing": (build(data=DATA - 1), "truncated:"),
    "tensor larger than the file": (build(tensors=(tensor("w", (1 << 40,), 0, 0),)), "truncated: tensor 'w' ends at"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_named(tmp_path: Path, case: str) -> None:
    data, expected = HOSTILE[case]
    line = outcome(data, tmp_path)
    assert isinstance(line, str)
    assert expected in line


def test_strings_are_counted_before_they_are_read(tmp_path: Path) -> None:
    count = ELEMENTS_MAX + 1
    path = tmp_path / "many.gguf"
    path.write_bytes(build({"x": array("x", STRING, count, b"")}))
    os.truncate(path, path.stat().st_size + 8 * count)
    with pytest.raises(Error, match=f"more than {ELEMENTS_MAX} strings"):
        inspect(str(path))


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, code, line in [
        (tmp_path / "fifo", "ENOEXEC", "not a regular file"),
        (tmp_path, "ENOEXEC", "not a regular file"),
        (Path("/dev/zero"), "ENOEXEC", "not a regular file"),
        (tmp_path / "none", "ENOENT", "no such file or directory"),
    ]:
        with pytest.raises(Error) as caught:
            inspect(str(path))
        assert (caught.value.code, caught.value.detail) == (code, f"{path}: {line}")


def test_types_and_sizes_are_those_of_ggml() -> None:
    theirs = {int(kind): (kind.name, *sizes) for kind, sizes in GGML_QUANT_SIZES.items()}
    assert theirs == ggml.TYPES
    files = {int(kind): kind.name.removeprefix("ALL_").removeprefix("MOSTLY_") for kind in gguf.LlamaFileType}
    del files[gguf.LlamaFileType.GUESSED]
    assert files == ggml.FILES
