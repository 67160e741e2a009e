"""Where the shell's text comes from: a string, a file, standard input that commands share.

Each gives whole lines by `more()`, None at the end. It checks what no shell text has: NUL bytes and
lines without end. It knows no tokens.
"""

import os

from llmsh.sh.errors import ShellError, ShellSyntaxError
from llmsh.sh.redirect import cause, private

LINE_MAX = 1 << 20
"""Bytes of one line."""
_BLOCK = 1 << 16
BOM = "\ufeff"


class String:
    """The text of -c."""

    def __init__(self, text: str) -> None:
        self._text: str | None = text

    def more(self) -> str | None:
        """All of it, once."""
        text, self._text = self._text, None
        return None if text is None else check(text + "\n", 1)


class File:
    """A script. Raises ShellError when it cannot be opened: 127 not there, 126 not readable."""

    def __init__(self, path: str) -> None:
        self._rest = b""
        self._line = 1
        try:
            self._fd = private(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            if os.path.isdir(path):
                raise IsADirectoryError(21, "is a directory")
        except OSError as error:
            failure = ShellError(f"{path}: {cause(error)}")
            failure.status = 127 if isinstance(error, FileNotFoundError) else 126
            raise failure from error
        except ValueError as error:
            raise ShellError("NUL in a file name") from error

    def more(self) -> str | None:
        """The next lines."""
        data = self._rest
        while self._fd >= 0 and b"\n" not in data:
            if len(data) > LINE_MAX:
                raise ShellSyntaxError(self._line, f"a line of more than {LINE_MAX} bytes")
            block = os.read(self._fd, _BLOCK)
            if not block:
                self.close()
            data += block
            if b"\0" in block:
                break
        cut = len(data) if self._fd < 0 else data.rfind(b"\n") + 1 or len(data)
        data, self._rest = data[:cut], data[cut:]
        if not data:
            return None
        text = check(data.decode("utf-8", "surrogateescape"), self._line)
        self._line += text.count("\n")
        return text

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Input:
    """Standard input, which commands read too: never a byte beyond the line at hand is taken."""

    def __init__(self) -> None:
        self._line = 0
        try:
            os.lseek(0, 0, os.SEEK_CUR)
            self._seeks = True
        except OSError:
            self._seeks = False

    def more(self) -> str | None:
        """The next line."""
        self._line += 1
        try:
            data = self._seeking() if self._seeks else self._byte_by_byte()
        except OSError as error:
            raise ShellError(f"standard input: {cause(error)}") from error
        return check(data.decode("utf-8", "surrogateescape"), self._line) if data else None

    def _grown(self, data: bytearray) -> None:
        if len(data) > LINE_MAX:
            raise ShellSyntaxError(self._line, f"a line of more than {LINE_MAX} bytes")

    def _seeking(self) -> bytes:
        data = bytearray()
        while block := os.read(0, _BLOCK):
            end = block.find(b"\n") + 1
            data += block[:end] if end else block
            if end:
                os.lseek(0, end - len(block), os.SEEK_CUR)
                break
            self._grown(data)
        return bytes(data)

    def _byte_by_byte(self) -> bytes:
        data = bytearray()
        while byte := os.read(0, 1):
            data += byte
            if byte in b"\n\0":
                break
            self._grown(data)
        return bytes(data)


def check(text: str, line: int) -> str:
    """The text, if it is one that a shell may read. Raises ShellSyntaxError.

    A byte order mark, which some editors put before the first line, is no part of it.
    """
    if line == 1:
        text = text.removeprefix(BOM)
    if (at := text.find("\0")) >= 0:
        raise ShellSyntaxError(line + text.count("\n", 0, at), "a NUL byte: this is no script")
    return text
