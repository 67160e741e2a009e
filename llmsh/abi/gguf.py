"""Checks the header of a GGUF file before llama.cpp sees it, and says what model it is.

A model file comes from strangers and llama.cpp trusts it: every count, length and offset is compared here with the
size of the file, and what llama.cpp reads without looking (arrays of the vocabulary) with what it expects. Only the
header is read, in pieces, at most HEADER_MAX bytes of it; the weights are never touched. It knows no llama.cpp and
no path of ours. Source: docs/gguf.md of the ggml project, versions 2 and 3.
"""

import os
import stat
import struct
from typing import NamedTuple

from llmsh.abi.errors import Error
from llmsh.abi.ggml import FILES, TYPES

HEADER_MAX = 256 << 20
"""Bytes of a header; the largest vocabularies take 15 MiB."""
KEYS_MAX = 4096
KEY_MAX = 256
TEXT_MAX = 4 << 20
"""Bytes of one string of the metadata, a chat template for instance."""
TENSORS_MAX = 65_536
NAME_MAX = 63
ELEMENTS_MAX = 2 << 20
"""Strings in all arrays together: what bounds the time."""
ALIGNMENT_MAX = 1 << 20
_PIECE = 1 << 20
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]

Scalar = int | float | bool | str


class Array(NamedTuple):
    """An array of the metadata: its element type and length; what it holds is not kept."""

    kind: int
    length: int


class Header(NamedTuple):
    """What the header says. Numbers that the file does not name are 0, texts empty."""

    version: int
    architecture: str
    name: str
    licence: str
    file_type: str
    """Q4_1 and the like."""
    parameters: int
    tensors: int
    size: int
    """Bytes of the file."""
    context: int
    """Tokens it was trained for."""
    vocabulary: int
    blocks: int
    embedding: int
    heads: int
    heads_kv: int
    template: bool
    """Whether it brings a chat template."""


def _refuse(text: str) -> Error:
    return Error("ENOEXEC", text)


class _Reader:
    """The header's bytes in order. Raises Error at the first one that the file does not have."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self.size = size
        self._end = min(size, HEADER_MAX)
        self._buffer = b""
        self._start = 0
        self._at = 0

    @property
    def offset(self) -> int:
        """Offset in the file of the next byte."""
        return self._start + self._at

    def _need(self, count: int, what: str) -> None:
        """Makes `count` bytes available in the buffer."""
        if self.offset + count > self._end:
            if self._end < self.size:
                raise _refuse(f"header of more than {HEADER_MAX} bytes")
            raise _refuse(f"truncated: {what} goes beyond the file's {self.size} bytes")
        if self._at + count <= len(self._buffer):
            return
        self._start, self._at = self.offset, 0
        want = min(max(count, _PIECE), self._end - self._start)
        parts: list[bytes] = []
        while want > 0:
            part = os.pread(self._fd, want, self._start + sum(map(len, parts)))
            if not part:
                raise _refuse(f"truncated: {what} goes beyond the file's {self.size} bytes")
            parts.append(part)
            want -= len(part)
        self._buffer = b"".join(parts)

    def number(self, kind: struct.Struct, what: str) -> int:
        """One number."""
        self._need(kind.size, what)
        (value,) = kind.unpack_from(self._buffer, self._at)
        self._at += kind.size
        return value  # type: ignore[no-any-return]  # unpack gives Any; the struct says int, float or bool

    def skip(self, count: int, what: str) -> None:
        """Leaves out bytes, which must be there."""
        if self.offset + count > self._end:
            self._need(count, what)
        if self._at + count <= len(self._buffer):
            self._at += count
        else:
            self._start, self._at, self._buffer = self.offset + count, 0, b""

    def text(self, most: int, what: str) -> str:
        """A string of at most `most` bytes; what is not UTF-8 is replaced."""
        length = self.number(_U64, what)
        if length > most:
            self.skip(length, what)
            raise _refuse(f"{what}: text of {length} bytes, at most {most} expected")
        self._need(length, what)
        value = self._buffer[self._at : self._at + length].decode("utf-8", "replace")
        self._at += length
        return value

    def skip_texts(self, count: int, what: str) -> None:
        """Leaves out `count` strings. The loop is what takes time in a real header: keep it small."""
        for _ in range(count):
            if self._at + 8 > len(self._buffer):
                self._need(8, what)
            (length,) = _U64.unpack_from(self._buffer, self._at)
            self._at += 8
            if self._at + length <= len(self._buffer):
                self._at += length
            else:
                self.skip(length, what)


class _Metadata:
    """The key-value part: each key once, scalars kept, arrays by type and length."""

    def __init__(self, reader: _Reader, count: int) -> None:
        self.values: dict[str, Scalar | Array] = {}
        self._reader = reader
        self._elements = 0
        for number in range(count):
            key = reader.text(KEY_MAX, f"key {number}")
            if not key or key in self.values:
                raise _refuse(f"key {key!a} stands twice" if key else f"key {number} is empty")
            self.values[key] = self._value(key)

    def _value(self, key: str) -> Scalar | Array:
        what = f"value of {key!a}"
        kind = self._reader.number(_U32, what)
        if kind == _STRING:
            return self._reader.text(TEXT_MAX, what)
        if kind == _ARRAY:
            return self._array(what)
        if kind not in _SCALARS:
            raise _refuse(f"{what} has unknown type {kind}")
        return self._reader.number(_SCALARS[kind], what)

    def _array(self, what: str) -> Array:
        kind = self._reader.number(_U32, what)
        count = self._reader.number(_U64, what)
        if kind == _STRING:
            self._elements += count
            if count * 8 > self._reader.size - self._reader.offset:
                raise _refuse(f"truncated: {what} has {count} strings in a file of {self._reader.size} bytes")
            if self._elements > ELEMENTS_MAX:
                raise _refuse(f"{what}: more than {ELEMENTS_MAX} strings")
            self._reader.skip_texts(count, what)
        elif kind in _SCALARS:
            self._reader.skip(count * _SCALARS[kind].size, what)
        else:
            raise _refuse(f"{what} is an array of type {kind}")
        return Array(kind, count)

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """An integer within bounds; without a default it must be there."""
        value = self.values.get(key, default)
        if value is None:
            raise _refuse(f"no {key}: not a language model")
        if isinstance(value, Array) and default is not None:
            return default  # one value a layer, as some architectures have it
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refuse(f"{key} is not an integer")
        if not low <= value <= high:
            raise _refuse(f"{key} is {value}: expected {low} to {high}")
        return value

    def text(self, key: str) -> str:
        """A string, or an empty one where the key is missing."""
        value = self.values.get(key, "")
        if not isinstance(value, str):
            raise _refuse(f"{key} is not a string")
        return value

    def array(self, key: str, kinds: tuple[int, ...], least: int) -> int:
        """Length of an array of one of these types with at least `least` elements, 0 where it is missing."""
        value = self.values.get(key)
        if value is None:
            return 0
        if not isinstance(value, Array) or value.kind not in kinds or value.length < least:
            raise _refuse(f"{key} is not an array of {least or 'any number of'} elements of the right type")
        return value.length


def _tensors(reader: _Reader, count: int, alignment: int) -> tuple[int, int]:
    """Checks each tensor's shape and place; gives the number of weights and the bytes of them all.

    They must lie one after the other, each padded to the alignment, as llama.cpp demands.
    """
    names: set[str] = set()
    weights = place = end = 0
    for number in range(count):
        name = reader.text(NAME_MAX, f"name of tensor {number}")
        what = f"tensor {name!a}"
        if not name or name in names:
            raise _refuse(f"{what} stands twice" if name else f"tensor {number} has no name")
        names.add(name)
        dimensions = reader.number(_U32, what)
        if not 1 <= dimensions <= 4:
            raise _refuse(f"{what} has {dimensions} dimensions")
        elements = row = reader.number(_U64, what)
        for _ in range(dimensions - 1):
            elements *= reader.number(_U64, what)
        kind = reader.number(_U32, what)
        offset = reader.number(_U64, what)
        if kind not in TYPES:
            raise _refuse(f"{what} has unknown type {kind}")
        _, block, size = TYPES[kind]
        if not 0 < elements < 1 << 62 or row % block:
            raise _refuse(f"{what}: {elements} elements in rows of {row}, blocks of {block}")
        if offset != place:
            raise _refuse(f"{what} at offset {offset}: expected {place}")
        end = place + elements // block * size
        if end > reader.size:
            raise _refuse(f"truncated: {what} ends at {end}, beyond the file's {reader.size} bytes")
        weights += elements
        place = end + -end % alignment
    return weights, end


def _vocabulary(metadata: _Metadata) -> int:
    """Checks the arrays that llama.cpp indexes by token; gives how many tokens there are."""
    if not metadata.text("tokenizer.ggml.model"):
        raise _refuse("no tokenizer.ggml.model: not a language model")
    tokens = metadata.array("tokenizer.ggml.tokens", (_STRING,), 1)
    if not tokens:
        raise _refuse("no tokenizer.ggml.tokens: not a language model")
    metadata.array("tokenizer.ggml.scores", (6,), tokens)
    metadata.array("tokenizer.ggml.token_type", (4, 5), tokens)
    metadata.array("tokenizer.ggml.merges", (_STRING,), 0)
    for key, value in metadata.values.items():
        # -1 says none in some files, as an unsigned 32-bit number too.
        if key.startswith("tokenizer.ggml.") and key.endswith("_token_id") and value not in (-1, 0xFFFFFFFF):
            metadata.number(key, 0, tokens - 1)
    return tokens


def check(fd: int) -> Header:
    """Reads and checks the header of an open file. Raises Error ENOEXEC with one line saying what is wrong."""
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        raise _refuse("not a regular file")
    reader = _Reader(fd, info.st_size)
    if os.pread(fd, 4, 0) != b"GGUF":
        raise _refuse("not a GGUF file" if info.st_size else "empty file")
    reader.skip(4, "magic")
    version = reader.number(_U32, "version")
    if version in (2 << 24, 3 << 24):
        raise _refuse("a big-endian GGUF file")
    if version not in (2, 3):
        raise _refuse(f"GGUF version {version}: 2 or 3 expected")
    tensors = reader.number(_U64, "tensor count")
    keys = reader.number(_U64, "key count")
    if not 1 <= tensors <= TENSORS_MAX or keys > KEYS_MAX:
        raise _refuse(f"{tensors} tensors and {keys} keys: at most {TENSORS_MAX} and {KEYS_MAX}, at least one tensor")
    metadata = _Metadata(reader, keys)
    alignment = metadata.number("general.alignment", 1, ALIGNMENT_MAX, 32)
    if alignment & (alignment - 1):
        raise _refuse(f"general.alignment is {alignment}: a power of two expected")
    weights, length = _tensors(reader, tensors, alignment)
    data = reader.offset + -reader.offset % alignment
    if data + length > info.st_size:
        raise _refuse(f"truncated: {data + length} bytes expected, {info.st_size} there")
    return _header(metadata, version, tensors, weights, info.st_size)


def _header(metadata: _Metadata, version: int, tensors: int, weights: int, size: int) -> Header:
    """What the metadata says, checked."""
    architecture = metadata.text("general.architecture")
    word = architecture.replace("-", "").replace("_", "")
    if not (word.isascii() and word.isalnum() and len(architecture) <= NAME_MAX):
        raise _refuse(f"general.architecture is {architecture[:NAME_MAX]!a}")
    parts = metadata.number("split.count", 0, 65_535, 0)
    if parts > 1:
        raise _refuse(f"one of {parts} parts: join them with llama-gguf-split first")
    kind = metadata.number("general.file_type", 0, 1 << 31, 1024)
    template = metadata.text("tokenizer.chat_template")
    return Header(
        version=version,
        architecture=architecture,
        name=metadata.text("general.name"),
        licence=metadata.text("general.license"),
        file_type=FILES.get(kind, ""),
        parameters=weights,
        tensors=tensors,
        size=size,
        context=metadata.number(f"{architecture}.context_length", 1, 1 << 31),
        vocabulary=_vocabulary(metadata),
        blocks=metadata.number(f"{architecture}.block_count", 1, 65_536),
        embedding=metadata.number(f"{architecture}.embedding_length", 1, 1 << 24),
        heads=metadata.number(f"{architecture}.attention.head_count", 0, 1 << 20, 0),
        heads_kv=metadata.number(f"{architecture}.attention.head_count_kv", 0, 1 << 20, 0),
        template=bool(template),
    )


def inspect(path: str) -> Header:
    """The same by path. Raises Error ENOENT, EACCES, EIO or ENOEXEC; the detail begins with the path."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        code = {FileNotFoundError: "ENOENT", PermissionError: "EACCES"}.get(type(exc), "EIO")
        raise Error(code, f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    try:
        return check(fd)
    except Error as exc:
        raise Error(exc.code, f"{path}: {exc.detail}") from exc
    except OSError as exc:
        raise Error("EIO", f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    finally:
        os.close(fd)
