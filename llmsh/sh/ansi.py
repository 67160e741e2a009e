"""The escapes of $'...'. Source: POSIX.1-2024, Shell Command Language, 2.2.4. It knows no shell."""

_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}
_HEX = frozenset("0123456789abcdefABCDEF")
_OCTAL = frozenset("01234567")


def _digits(text: str, start: int, allowed: frozenset[str], most: int) -> str:
    end = start
    while end < len(text) and end - start < most and text[end] in allowed:
        end += 1
    return text[start:end]


def ansi_c(raw: str) -> str:
    """Text with its escapes replaced; bytes that are not UTF-8 become surrogate escapes. Text ends
    at an escape for NUL, as in bash."""
    out = bytearray()
    at = 0
    while at < len(raw):
        char = raw[at]
        if char != "\\" or at + 1 >= len(raw):
            out += char.encode("utf-8", "surrogateescape")
            at += 1
            continue
        piece, at = _escape(raw, at + 1)
        if piece == b"\0":
            break
        out += piece
    return out.decode("utf-8", "surrogateescape")


def _escape(raw: str, at: int) -> tuple[bytes, int]:
    """The bytes of the escape whose letter is at `at`, and where to go on."""
    char = raw[at]
    if char in _PLAIN:
        return _PLAIN[char].encode(), at + 1
    if char in _OCTAL:
        digits = _digits(raw, at, _OCTAL, 3)
        return bytes([int(digits, 8) & 255]), at + len(digits)
    if char == "x" and (digits := _digits(raw, at + 1, _HEX, 2)):
        return bytes([int(digits, 16)]), at + 1 + len(digits)
    if char in "uU" and (digits := _digits(raw, at + 1, _HEX, 4 if char == "u" else 8)):
        point = int(digits, 16)
        legal = point < 0xD800 or 0xE000 <= point < 0x110000
        return (chr(point).encode() if legal else "\ufffd".encode()), at + 1 + len(digits)
    if char == "c" and at + 1 < len(raw):
        return bytes([ord(raw[at + 1]) & 31]), at + 2
    text = char if char in "\\'\"?" else "\\" + char
    return text.encode("utf-8", "surrogateescape"), at + 1
