"""Cuts a stream of bytes into the texts that processes are started with, one at a time, as they are wanted.

It holds no more than what was fed and not yet taken. It reads no descriptor.
"""

import os

from llmsh.abi.errors import Error
from llmsh.abi.limits import ARGS_MAX

_ESCAPES = {"n": b"\n", "t": b"\t", "0": b"\0", "r": b"\r", "a": b"\a", "b": b"\b", "f": b"\f", "v": b"\v", "\\": b"\\"}


def delimiter(text: str) -> bytes:
    """The byte that an argument names, itself or an escape of C: a letter, 0, or x and two digits. Empty for none."""
    if text[:1] != "\\" or len(text) == 1:
        byte = os.fsencode(text)
    elif text[1] == "x":
        byte = _code(text[2:])
    else:
        byte = _ESCAPES.get(text[1:], b"")
    return byte if len(byte) == 1 else b""


def _code(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits.rjust(2, "0")) if digits else b""
    except ValueError:
        return b""


class Items:
    """Texts of `count` items each, the last of fewer; an item ends at `mark`. Blank items are left out."""

    def __init__(self, mark: bytes = b"\n", count: int = 1) -> None:
        self._mark = mark
        self._count = count
        self._data = bytearray()
        self._seen = 0
        """Bytes at the beginning of the data that have no mark among them."""
        self._number = 0
        self._group: list[bytes] = []
        self._size = 0
        """Of the group as a text: its items, and a newline behind each but the last."""
        self._next: bytes | None = None
        """An item that was one too long for the group before it."""
        self._eof = False

    def feed(self, data: bytes) -> None:
        """More bytes; none at the end."""
        self._data += data
        self._eof = self._eof or not data

    @property
    def done(self) -> bool:
        """Whether there is no text left, and none will come."""
        return self._eof and not self._data and not self._group and self._next is None

    @property
    def hungry(self) -> bool:
        """Whether `take` may give nothing because there is more to be fed."""
        return not self._eof and self._data.find(self._mark, self._seen) < 0

    def take(self) -> str | None:
        """The next text, or None until more is fed: fewer items than asked for where more would be too long for an
        argument. Raises Error E2BIG for one that is so alone."""
        full = False
        while len(self._group) < self._count and not full:
            item = self._next if self._next is not None else self._item()
            self._next = None
            if item is None:
                break
            if not item.strip():
                continue
            full = bool(self._group) and self._size + 1 + len(item) > ARGS_MAX
            if full:
                self._next = item
            else:
                self._size += len(item) + bool(self._group)
                self._group.append(item)
        if not full and len(self._group) < self._count and not (self._eof and self._group):
            return None
        text = b"\n".join(self._group)
        self._group.clear()
        self._size = 0
        return os.fsdecode(text)

    def _item(self) -> bytes | None:
        end = self._data.find(self._mark, self._seen)
        if end < 0:
            self._seen = len(self._data)
            self._bound(self._seen, self._number + 1)
            if not self._eof or not self._data:
                return None
            end = len(self._data)
        item = bytes(self._data[:end])
        del self._data[: end + 1]
        self._seen = 0
        self._number += 1
        self._bound(len(item), self._number)
        return item

    def _bound(self, size: int, number: int) -> None:
        if size > ARGS_MAX:
            raise Error("E2BIG", f"line {number}: longer than {ARGS_MAX} bytes")
