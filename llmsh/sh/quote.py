"""Text as a word that the shell reads back as the same text: for set, export -p, -x, completion."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")


def quote(text: str) -> str:
    """The text, quoted only if it must be."""
    if text and all(c in _SAFE or (not c.isascii() and c.isalnum()) for c in text) and "=" not in text:
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def backslashed(text: str) -> str:
    """The text with a backslash before what the shell would take apart: for completion in a word."""
    if "\n" in text:
        return quote(text)
    return "".join(c if c in _SAFE or c == "~" or not c.isascii() or c == "\x7f" else "\\" + c for c in text)
