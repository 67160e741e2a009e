"""Bytes to text as all programs read it.

UTF-8; what is not, and NUL, becomes U+FFFD; a byte order mark at the start goes; CRLF and CR end a
line as LF does. It knows no unit and no event.
"""

import codecs

BAD = "\ufffd"
BOM = "\ufeff"


def decode(data: bytes, final: bool = True) -> tuple[str, int, bool]:
    """(text, bytes used, whether any of them were no text). Not final: an unfinished character at
    the end stays unused."""
    text, used = codecs.utf_8_decode(data, "replace", final)
    bad = "\0" in text or (BAD in text and text.count(BAD) > data.count(BAD.encode()))
    return text.replace("\0", BAD), used, bad


def newlines(text: str) -> str:
    """The text with LF for every CRLF and CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
