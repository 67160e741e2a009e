"""The one place that writes to a descriptor a person may be reading from.

A terminal gets control characters made visible: C0 except newline and tab, DEL, C1 and the controls
of text direction, whoever the bytes come from. A pipe or file gets bytes as they are. It buffers
nothing and knows nothing of what it writes.
"""

import os

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))


def _table() -> dict[int, str]:
    table = {code: f"^{chr(code + 64)}" for code in range(0x20) if code not in (0x09, 0x0A)}
    table[0x7F] = "^?"
    table |= {code: f"<{code:02X}>" for code in range(0x80, 0xA0)}
    table |= {code: f"<U+{code:04X}>" for code in (0x2028, 0x2029, *_BIDI)}
    # A byte that is no UTF-8 comes through surrogateescape; raw, an old terminal might take it as C1.
    table |= {0xDC00 + byte: f"<{byte:02X}>" for byte in range(0x80, 0x100)}
    return table


_VISIBLE: dict[int, str] = {}


def visible(text: str) -> str:
    """The text with its controls made visible."""
    if text.isprintable():
        return text
    if not _VISIBLE:
        _VISIBLE.update(_table())
    return text.translate(_VISIBLE)


class Screen:
    """A stream of bytes on its way to a terminal: a character split over two pieces waits whole."""

    def __init__(self) -> None:
        from codecs import getincrementaldecoder

        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")

    def feed(self, data: bytes, *, final: bool = False) -> bytes:
        """The next bytes to write."""
        return visible(self._decoder.decode(data, final)).encode("utf-8", "surrogateescape")


class Stream:
    """Bytes of somebody else's on their way to a descriptor, whatever that is."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._screen = Screen() if os.isatty(fd) else None

    def write(self, data: bytes) -> None:
        """Write on. Raises OSError."""
        write_all(self._fd, self._screen.feed(data) if self._screen else data)

    def end(self) -> None:
        """Nothing follows: half a character goes out as it is."""
        if self._screen:
            write_all(self._fd, self._screen.feed(b"", final=True))


def encoded(fd: int, text: str) -> bytes:
    """The bytes of a text for this descriptor."""
    if os.isatty(fd):
        text = visible(text)
    return text.encode("utf-8", "surrogateescape")


def write_all(fd: int, data: bytes) -> None:
    """Write every byte. Raises OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            _wait(fd)


def _wait(fd: int) -> None:
    """Somebody else made it non-blocking; we never do, so wait here."""
    from select import POLLOUT, poll

    poller = poll()
    poller.register(fd, POLLOUT)
    poller.poll()


def out(text: str) -> None:
    """Write to standard output. Raises OSError."""
    write_all(1, encoded(1, text))


def line(text: str) -> None:
    """One line to standard output; newlines within are the caller's. Raises OSError."""
    out(text + "\n")


def complain(name: str, cause: str) -> None:
    """One line `name: cause` on standard error; where even that cannot be written, nothing."""
    text = " ".join(f"{name}: {cause}".splitlines())
    try:
        write_all(2, encoded(2, text + "\n"))
    except OSError:
        return


def progress(text: str) -> None:
    """Write over the current line of standard error, when that is a terminal; empty clears it."""
    if os.isatty(2):
        write_all(2, b"\r\x1b[K" + encoded(2, text))


def columns(fd: int = 1) -> int:
    """The width to keep to: COLUMNS, else the terminal's; 0 is no bound (a pipe)."""
    value = os.environ.get("COLUMNS", "")
    if value.isascii() and value.isdigit() and int(value) > 0:
        return int(value)
    try:
        return os.get_terminal_size(fd).columns
    except OSError:
        return 0
