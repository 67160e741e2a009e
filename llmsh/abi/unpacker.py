"""Takes the messages of the lease protocol (lease.py) out of a channel's bytes. It decodes none."""

MESSAGE_MAX = 16 << 20
"""Bytes of one message; a longer one is a fault of the peer."""


class Unpacker:
    """Takes bytes in any pieces, gives whole messages (undecoded). Raises ValueError on a length
    over MESSAGE_MAX."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes; return every message they complete."""
        self._buffer += data
        out: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= 4:
            length = int.from_bytes(self._buffer[start : start + 4], "big")
            if length > MESSAGE_MAX:
                raise ValueError(f"message of {length} bytes")
            if len(self._buffer) - start - 4 < length:
                break
            out.append(bytes(self._buffer[start + 4 : start + 4 + length]))
            start += 4 + length
        del self._buffer[:start]
        return out
