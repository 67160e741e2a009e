"""Frames on the client socket: how they are packed and taken apart. Described in llmsh-wire(7).

    frame := length:u32 headlen:u32 head[headlen] body[length - 4 - headlen]     (big-endian)

The head is a JSON object in UTF-8, the body is bytes as they are: text of agents is not always
UTF-8. It knows no call and no event; it imports nothing but the standard library.
"""

import struct

from llmsh.abi import jsontext
from llmsh.abi.errors import Error
from llmsh.abi.light import Any, Iterator
from llmsh.abi.limits import FRAME_MAX, HEAD_MAX

Head = dict[str, Any]
Frame = tuple[Head, bytes]

_PREFIX = struct.Struct("!II")


def encode(head: Head, body: bytes = b"") -> bytes:
    """One frame. Raises Error EMSGSIZE when the frame would pass FRAME_MAX or HEAD_MAX."""
    text = jsontext.dumps(head).encode()
    length = 4 + len(text) + len(body)
    if length > FRAME_MAX or len(text) > HEAD_MAX:
        raise Error("EMSGSIZE", f"frame of {length} bytes: at most {FRAME_MAX}")
    return b"".join((_PREFIX.pack(length, len(text)), text, body))


def _head(text: bytes) -> Head:
    try:
        value = jsontext.loads(text.decode())
    except (ValueError, RecursionError) as exc:
        raise Error("EPROTO", "frame head is not JSON") from exc
    if not isinstance(value, dict):
        raise Error("EPROTO", "frame head is not an object")
    return value


class Decoder:
    """Takes bytes in pieces of any size, gives whole frames.

    Raises Error EPROTO at the first byte that cannot belong to a frame; after that the connection
    is of no more use.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Add bytes; yield each frame they complete."""
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= _PREFIX.size:
                length, headlen = _PREFIX.unpack_from(self._buffer, start)
                if not 4 <= length <= FRAME_MAX or headlen > min(length - 4, HEAD_MAX):
                    raise Error("EPROTO", f"frame of {length} bytes with a head of {headlen}")
                end = start + 4 + length
                if len(self._buffer) < end:
                    break
                middle = start + _PREFIX.size + headlen
                head = _head(bytes(self._buffer[start + _PREFIX.size : middle]))
                body = bytes(self._buffer[middle:end])
                start = end
                yield head, body
        finally:
            del self._buffer[:start]

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)
